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

from benchmarks.settings.choices import check_overrides, explained, label
from falip import UserError

log = logging.getLogger("benchmarks")


@hydra.main(version_base="1.3", config_path="../configs", config_name="run")
def run(config: DictConfig) -> None:
    """One job: Hydra calls this for a single run and for each run of a sweep."""
    from benchmarks.run.job import Job, Labels

    chosen = HydraConfig.get()
    overrides = list(chosen.overrides.task)
    names = [label(group, chosen.runtime.choices, overrides) for group in ("backbone", "prompt", "text")]
    labels = Labels(*names, experiment=chosen.runtime.choices.get("experiment"))
    try:
        Job(config, labels, overrides).execute()
    except Exception as error:
        if chosen.mode == RunMode.MULTIRUN:  # which goes on after a failed job, so what failed is said where it happens
            log.error("%s failed: %s: %s", " ".join(overrides), type(error).__name__, error)
        raise


def _is_long_option(argument: str) -> bool:
    return argument.startswith("--") and "=" in argument


def main() -> int:
    """Runs Hydra; what the user can mend is one message and exit status 2."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that exceptions come through to this function
    # Options first: argparse takes none between overrides.
    arguments = sys.argv[1:] = sorted(sys.argv[1:], key=lambda a: a not in ("-m", "--multirun") and not _is_long_option(a))
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
