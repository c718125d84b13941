"""The command line: `falip run task=rec/shapes prompt=foveal`; `-m` sweeps, `+experiment=NAME` makes tables."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from benchmarks.settings.choices import CONFIGS, check_overrides, explained
from benchmarks.settings.sweep import asked
from falip.errors import UserError


class _PastHydra(BaseException):
    """Carries a user's mistake past Hydra, which writes the overrides before an `Exception` is raised."""

    def __init__(self, mistake: Exception) -> None:
        self.mistake = mistake


@hydra.main(version_base="1.3", config_path=str(CONFIGS.resolve()), config_name="run")
def run(config: DictConfig) -> None:
    """One job by itself; the jobs of a sweep come through `hydra_plugins.together`."""
    from benchmarks.run.one_pass import evaluate

    chosen = HydraConfig.get()
    try:
        (error,) = evaluate([asked(config, chosen.runtime.choices, list(chosen.overrides.task))])
        if error:
            raise error
    except (UserError, OmegaConfBaseException) as mistake:
        raise _PastHydra(mistake) from None


def _is_long_option(argument: str) -> bool:
    return argument.startswith("--") and "=" in argument


def _comes_from_hydra(error: OSError) -> bool:
    """Whether Hydra could not write its own folders; what runs write has messages of its own."""
    files = [Path(frame.filename).parts for frame in traceback.extract_tb(error.__traceback__)]
    packages = [parts for parts in files if "benchmarks" in parts or "site-packages" in parts]
    return bool(packages) and "hydra" in packages[-1]


def main(argv: Sequence[str] | None = None, program: str = "falip run") -> int:
    """Runs Hydra; what the user can mend is one message and exit status 2.

    Args:
        argv: Options and overrides, in any order; those of the process if None.
        program: What the help calls the command.
    """
    logging.getLogger("huggingface_hub").propagate = False  # it prints its own lines, which Hydra would print again
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that exceptions come through to this function
    # Options first: argparse takes none between overrides.
    given = sys.argv[1:] if argv is None else argv
    arguments = sorted(given, key=lambda a: a not in ("-m", "--multirun") and not _is_long_option(a))
    sys.argv = [program, *arguments, *([f"hydra.job.name={program}"] if "--help" in arguments or "-h" in arguments else [])]
    try:
        check_overrides(arguments)
        try:
            run()
        except _PastHydra as past:
            raise past.mistake from None
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except (HydraException, OmegaConfBaseException) as error:
        sys.stderr.write(f"error in the configuration: {explained(error, arguments)}\n")
        return 2
    except OSError as error:
        if not _comes_from_hydra(error):
            raise
        place = error.filename or "Hydra's folder"
        sys.stderr.write(
            f"error: {place}: {error.strerror or error}. Set results_root=... to a folder that you can write.\n"
        )
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: the same command goes on where this one stopped\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
