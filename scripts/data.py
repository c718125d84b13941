"""Fetch data sets and weights, and say what is there: `falip data --help`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

from benchmarks.acquire import assets, check, coco, imagenet, weights
from benchmarks.acquire.assets import Options
from benchmarks.acquire.disk import require_folder
from benchmarks.acquire.sources import ASSETS, RECIPES, Recipe
from benchmarks.settings import choices
from falip.errors import UserError
from falip.weights import TINY
from scripts import masks

_DESCRIPTION = """\
Fetch the data sets and weights of the benchmark, and say what is there.

  falip data check                        what is there, and what FALIP's tables still lack
  falip data refcoco --splits testA testB annotations, detections and the images of two splits
  falip data cub --dry-run                where it would come from, its size and licence
  falip data masks --help                 masks of detections, made with SAM
  falip data weights --backbone openai/clip-vit-base-patch16
  falip data weights --backbone rn50x16_vit_l14_336      all that a configuration loads
  falip data weights --backbone all       all that any configuration loads, tens of gigabytes

A second call does no work. A call that was interrupted is continued by the same command. Every file is recorded with
its size and sha256 in the manifest.json of its folder, which is written last.
"""
_EPILOG = """\
exit status: 0 if all is well; 2 for an error that you can mend, and for `check` if something lacks.
environment: FALIP_DATA (default of --root), HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE, http_proxy and https_proxy.
"""
ALL = "all"
_BACKBONE = f"for weights: a hub id, a configuration, or {ALL} (default: {check.DEFAULT_BACKBONE})"
NAMES = (*RECIPES, "coco_instances", "weights", "check")


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    made = argparse.ArgumentParser(
        prog="falip data",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("name", metavar="NAME", help=f"one of: {', '.join(NAMES)}")
    made.add_argument("--root", type=Path, metavar="DIR", help="the data root (default: $FALIP_DATA, else data)")
    made.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing")
    made.add_argument("--verify", action="store_true", help="compare what is complete with the recorded hashes, too")
    made.add_argument("--mirror", metavar="BASE_URL", help="an address to try first; it serves the files by their names")
    made.add_argument("--splits", nargs="+", metavar="SPLIT", help="for the RefCOCO family (default: all splits)")
    made.add_argument("--backbone", help=_BACKBONE)
    made.add_argument("--revision", help="for weights: a commit, branch or tag (default: the pinned commit)")
    made.add_argument("--imagenet", type=Path, metavar="DIR", help="for imagenet_s: your ILSVRC2012 validation images")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status. A `UserError` becomes its message on stderr and status 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["masks"]:
            return masks.run(given[1:])
        return _run(parser().parse_args(given))
    except UserError as error:
        _say(f"error: {error}", sys.stderr)
        return 2
    except OSError as error:  # such as a data root that may not be read
        _say(f"error: {error}. Choose another data root with --root, or mend what is named.", sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        return 130


def _say(text: str, stream: TextIO | None = None) -> None:
    """Print a message, with escapes for what the terminal cannot show, such as a name that is no text."""
    stream = stream or sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def _run(chosen: argparse.Namespace) -> int:
    name = chosen.name
    if name not in NAMES:
        raise UserError(f"there is no data set {name!r}. The names are: {', '.join(NAMES)}.")
    _refuse_stray_options(chosen)
    root = chosen.root or check.default_root()
    _check_root(root)
    if name == "check":
        report, complete = check.screen(root)
        _say(report)
        return 0 if complete else 2
    options = Options(root, chosen.mirror, chosen.dry_run, chosen.verify, _say)
    if name == "weights":
        _acquire_backbones(chosen.backbone or check.DEFAULT_BACKBONE, chosen.revision, options)
    elif name == "coco_instances":
        assets.acquire(ASSETS[name], options)
    else:
        _acquire_recipe(RECIPES[name], chosen, options)
    return 0


def _check_root(root: Path) -> None:
    try:
        os.fsencode(root)
        require_folder(root.absolute())
    except (UserError, ValueError) as error:
        raise UserError(
            f"the data root {str(root)!r} is not a folder, or cannot be one ({error}) Choose another with --root or "
            "FALIP_DATA."
        ) from None


def _acquire_backbones(asked: str, revision: str | None, options: Options) -> None:
    """The weights of a hub id, of a configuration, or of all; one that fails does not keep the others from coming."""
    known = choices.options("backbone")
    chosen = known if asked == ALL else [asked] if asked in known else []
    names = [asked]
    if chosen:
        loaded = (name for one in chosen for name in choices.backbone_names(one))
        names = list(dict.fromkeys(name for name in loaded if name != TINY))
    if revision and len(names) != 1:
        raise UserError(f"--revision is for one hub id, and {asked} has {', '.join(names) or 'none'}.")
    steps = [partial(weights.acquire_weights, name, revision, options) for name in names]
    if any(choices.takes_alpha_weights(one) for one in chosen):
        steps.append(partial(assets.acquire, ASSETS["alphaclip"], options))
    failed = []
    for step in steps:
        try:
            step()
        except UserError as error:
            failed.append(str(error))
    if failed:
        more = f"{len(failed)} of {len(steps)} could not be fetched:\n" if len(steps) > 1 else ""
        raise UserError(more + "\n".join(failed))


def _acquire_recipe(recipe: Recipe, chosen: argparse.Namespace, options: Options) -> None:
    splits = tuple(chosen.splits or recipe.splits)
    unknown = [split for split in splits if split not in recipe.splits]
    if unknown:
        raise UserError(f"--splits {unknown[0]}: {recipe.name} has the splits {', '.join(recipe.splits)}.")
    for name in recipe.assets:
        if name == "imagenet_s_images" and chosen.imagenet is not None:
            imagenet.copy_images(chosen.imagenet, options)
        assets.acquire(ASSETS[name], options)
    if recipe.annotations:
        coco.acquire_images(recipe, splits, options)


def _refuse_stray_options(chosen: argparse.Namespace) -> None:
    """Refuse an option that the name does not know, lest it be thought to have done something."""
    recipe = RECIPES.get(chosen.name)
    allowed = {
        "splits": recipe is not None and bool(recipe.splits),
        "backbone": chosen.name == "weights",
        "revision": chosen.name == "weights",
        "imagenet": chosen.name == "imagenet_s",
        "mirror": chosen.name not in ("weights", "check"),
    }
    for option, fits in allowed.items():
        if getattr(chosen, option) is not None and not fits:
            raise UserError(f"--{option} does not apply to {chosen.name}. See `falip data --help`.")


if __name__ == "__main__":
    sys.exit(main())
