"""The program `falip`: one name for every command. `falip --help` lists them."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True)
class Command:
    """One command of the program.

    Attributes:
        module: Its `main` takes the arguments that follow the command's name, and returns the exit status.
        summary: What it does, in a line.
    """

    module: str
    summary: str


COMMANDS = {
    "look": Command("benchmarks.look", "scores of texts for regions of one picture, and what the model saw"),
    "list": Command("benchmarks.listing", "the prompts, backbones, tasks, texts and experiments that there are"),
    "validate": Command("benchmarks.validate", "checks a configuration and its data, and shows samples as a picture"),
    "run": Command("benchmarks.__main__", "one evaluation: falip run task=rec/shapes prompt=foveal"),
    "sweep": Command("benchmarks.sweep", "many evaluations in one pass: falip sweep prompt=plain,foveal,crop"),
    "reproduce": Command("benchmarks.reproduce", "the tables of the papers on real data, beside the published figures"),
    "published": Command("benchmarks.published.__main__", "every published figure with the command that makes ours"),
    "backbones": Command("benchmarks.backbones", "every backbone: grid, layers, where its weights come from"),
    "train align": Command(
        "benchmarks.align", "fine-tunes a tower on a task as CLIPood and AlignCLIP do, into a backbone folder"
    ),
    "data": Command("scripts.data", "fetches data sets and weights, and says what is there"),
    "status": Command("benchmarks.status", "which runs are complete, partial, failed or missing"),
    "tables": Command("benchmarks.tables.__main__", "tables of finished runs, as CSV, Markdown and LaTeX"),
    "compare": Command("benchmarks.compare", "two finished runs, pair by pair"),
    "recombine": Command("benchmarks.recombine", "finished runs combined into an ensemble, without a model"),
    "export": Command("benchmarks.export", "finished runs as lm-eval, Every Eval Ever and the hub have them"),
    "report": Command("benchmarks.report.__main__", "one self-contained HTML page of all runs"),
    "figures": Command("benchmarks.figures.__main__", "figures of the embedded benchmark and of runs"),
    "speed": Command("benchmarks.speed.__main__", "measures the ways of encoding many regions"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Gives the arguments to the command that is named first; returns its exit status, 2 for an unknown one."""
    name, *arguments = [*(sys.argv[1:] if argv is None else argv)] or ["--help"]
    if arguments and f"{name} {arguments[0]}" in COMMANDS:
        name, *arguments = f"{name} {arguments[0]}", *arguments[1:]
    if name in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0
    if name in ("-V", "--version"):
        sys.stdout.write(f"falip {version('falip')}\n")
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1) or [known for known in COMMANDS if known.startswith(f"{name} ")]
        hint = f" Did you mean falip {near[0]}?" if near else ""
        sys.stderr.write(f"error: there is no command {name!r}.{hint}\n\n{_help()}")
        return 2
    _own_modules_last()
    return importlib.import_module(COMMANDS[name].module).main(arguments)


def _help() -> str:
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items())
    return (
        "usage: falip COMMAND ...\n\n"
        "A reproducible harness for visual prompting of CLIP. Runs and tables go below results/ of the current folder.\n\n"
        f"{listed}\n\n"
        "`falip COMMAND --help` says more of each; `falip --version` names this one.\n"
    )


def _own_modules_last() -> None:
    """Lets configurations name classes of the current folder, whose other names must not stand before installed ones."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)


if __name__ == "__main__":
    sys.exit(main())
