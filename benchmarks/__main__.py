"""The command line: `python -m benchmarks task=rec/shapes prompt=foveal`; `-m` sweeps, `+experiment=NAME` makes tables."""

from __future__ import annotations

import logging
import os
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from benchmarks.choices import check_overrides, explained
from falip import UserError

log = logging.getLogger("benchmarks")


@hydra.main(version_base="1.3", config_path="../configs", config_name="run")
def run(config: DictConfig) -> None:
    """One job: Hydra calls this for a single run and for each run of a sweep."""
    from benchmarks.job import Job, Labels

    chosen = HydraConfig.get()
    overrides = list(chosen.overrides.task)
    names = [_label(group, chosen.runtime.choices, overrides) for group in ("backbone", "prompt", "text")]
    labels = Labels(*names, experiment=chosen.runtime.choices.get("experiment"))
    try:
        Job(config, labels, overrides).execute()
    except Exception as error:
        if chosen.mode == RunMode.MULTIRUN:  # which goes on after a failed job, so what failed is said where it happens
            log.error("%s failed: %s: %s", " ".join(overrides), type(error).__name__, error)
        raise


def _label(group: str, choices: dict[str, str], overrides: list[str]) -> str:
    """The choice of a group and what was overridden in it, for instance "foveal,alpha=0.5"."""
    changed = sorted(o.lstrip("+").removeprefix(f"{group}.") for o in overrides if o.lstrip("+").startswith(f"{group}."))
    return ",".join([choices[group], *changed])


def main() -> int:
    """Runs Hydra; what the user can mend is one message and exit status 2."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that exceptions come through to this function
    arguments = sys.argv[1:]
    try:
        check_overrides(arguments)
        run()
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except (HydraException, OmegaConfBaseException) as error:
        sys.stderr.write(f"error in the configuration: {explained(error, arguments)}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: the same command goes on where this one stopped\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
