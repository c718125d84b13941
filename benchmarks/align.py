r"""Fine-tunes CLIP's vision tower on a recognition task and writes a backbone folder that every other command takes.

    falip train align task=classification/domainbed task.dataset.target=sketch task.split=train backbone=vit_b16 \
        --out results/align/pacs_sketch --margin 0.3 --beta 0.5 --attention 10 --similarity 10 --smoothing 1
    falip run task=classification/domainbed task.dataset.target=sketch task.split=target \
        backbone=vit_b16 backbone.name=results/align/pacs_sketch

Without terms it is plain fine-tuning; --margin 0.3 --beta 0.5 is CLIPood. The same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from benchmarks.run.job import Job
from benchmarks.settings.expansion import expanded
from benchmarks.train.recipe import Recipe
from falip.errors import UserError

_HELP = {
    "margin": "CLIPood's margin; its code has 0.3, and 0.1 for DomainNet (0: off)",
    "beta": "of the Beta moving average of weights; CLIPood's is 0.5 (0: off)",
    "attention": "weight of the attention alignment loss; AlignCLIP's is 10 (0: off)",
    "similarity": "weight of the similarity alignment loss; AlignCLIP's is 10 (0: off)",
    "similarity_form": "paper: of the right class; code: of all classes, as released",
    "smoothing": "share of the cross-entropy with labels smoothed by meaning; AlignCLIP's is 1 (0: off)",
}


def main(argv: Sequence[str] | None = None) -> int:
    """0 when the folder is written; 2 if the user must mend something."""
    parser = argparse.ArgumentParser(
        prog="falip train align", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", help="task=..., backbone=... and their settings, as for a run")
    parser.add_argument("--config-dir", help="a folder of your own with task/, backbone/ and so on")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--every", type=int, default=500, help="steps between checkpoints (%(default)s)")
    for one in fields(Recipe):
        name, kind = f"--{one.name.replace('_', '-')}", type(one.default)
        parser.add_argument(name, type=kind, default=one.default, help=f"{_HELP.get(one.name, '')} (%(default)s)".strip())
    arguments = parser.parse_intermixed_args(argv)
    own = ["--config-dir", arguments.config_dir] if arguments.config_dir else []
    try:
        if arguments.every < 1:
            raise UserError(f"--every {arguments.every}: give a whole number from 1 on.")
        recipe = Recipe(**{one.name: getattr(arguments, one.name) for one in fields(Recipe)})
        (asked,) = expanded([[*own, *arguments.overrides]])
        if len(asked) != 1:
            raise UserError(f"These settings ask for {len(asked)} trainings: give one task and one backbone.")
        _train(Job(asked[0]), recipe, arguments.out, arguments.every)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: the same command goes on from the last checkpoint\n")
        return 130
    return 0


def _train(job: Job, recipe: Recipe, out: Path, every: int) -> None:
    from benchmarks.train.folder import write_folder
    from benchmarks.train.start import begun

    tuning, start, record = begun(job, recipe, out)
    if tuning is None:
        sys.stdout.write(f"{out} is finished already\n")
        return
    tuning.run(every=every, said=_say)
    write_folder(tuning, start, record)
    sys.stdout.write(f"wrote {out} ({asdict(recipe)['steps']} steps); use it as backbone.name={out}\n")


def _say(row: dict[str, Any]) -> None:
    sys.stdout.write("  ".join(f"{name} {value:.6g}" for name, value in row.items()) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
