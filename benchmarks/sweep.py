"""A sweep in one pass: `python -m benchmarks.sweep prompt=foveal prompt.alpha=0.1,0.2,0.4`, or `+experiment=NAME`.

Runs that differ in nothing but prompt and text are evaluated together, so that they share the pictures, the layers below
the first masked one, and the parts of their ensembles. Each run's folder holds what `python -m benchmarks -m` would put
there; that command is for runs that are to be spread over processes or machines.
"""

from __future__ import annotations

import itertools
import json
import logging
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import open_dict
from omegaconf.errors import OmegaConfBaseException

from benchmarks.run.job import Job, Labels, execute
from benchmarks.settings.choices import CONFIGS, check_overrides, explained, label
from falip import UserError

log = logging.getLogger("benchmarks")


def main(argv: Sequence[str] | None = None) -> int:
    """0; 1 if a run failed; 2 if the user must mend the command."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        check_overrides(arguments)
        groups = together(jobs(arguments))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except (HydraException, OmegaConfBaseException) as error:
        sys.stderr.write(f"error in the configuration: {explained(error, arguments)}\n")
        return 2
    failed = 0
    for group in groups:
        try:
            execute(group)
        except UserError as error:
            log.error("%s failed: %s", ", ".join(job.labels["prompt"] for job in group), error)
            failed += len(group)
    return 1 if failed else 0


def jobs(arguments: Sequence[str]) -> list[Job]:
    """One job for each combination of the values swept over, those of an experiment included."""
    with initialize_config_dir(str(CONFIGS.resolve()), version_base="1.3"):
        return [_job(overrides) for overrides in _combinations(arguments)]


def together(given: Sequence[Job]) -> list[list[Job]]:
    """Jobs that can be evaluated in one pass: those equal in task, backbone, approximation and runtime."""
    groups: dict[str, list[Job]] = defaultdict(list)
    for job in given:
        common = {key: value for key, value in job.resolved.items() if key not in ("prompt", "text")}
        same = groups[json.dumps(common, sort_keys=True, default=str)]
        if job.folder.path not in [other.folder.path for other in same]:
            same.append(job)
    return list(groups.values())


def _combinations(arguments: Sequence[str]) -> Iterator[list[str]]:
    own = OverridesParser.create().parse_overrides(list(arguments))
    fixed = [override.input_line for override in own if not override.is_sweep_override()]
    params = compose("run", [line or "" for line in fixed], return_hydra_config=True).hydra.sweeper.get("params") or {}
    named = {override.key_or_group for override in own}
    extra = OverridesParser.create().parse_overrides(
        [f"{key}={value}" for key, value in params.items() if key not in named]
    )
    every = [*own, *extra]
    choices = [
        [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [override.input_line or ""]
        for override in every
    ]
    yield from (list(combination) for combination in itertools.product(*choices))


def _job(overrides: list[str]) -> Job:
    config = compose("run", overrides, return_hydra_config=True)
    choices = config.hydra.runtime.choices
    task = [override for override in overrides if not override.lstrip("+").startswith("experiment=")]
    names = [label(group, choices, task) for group in ("backbone", "prompt", "text")]
    with open_dict(config):
        del config["hydra"]
    return Job(config, Labels(*names, experiment=choices.get("experiment")), overrides)


if __name__ == "__main__":
    sys.exit(main())
