"""What there is to choose from, with what each choice means: `falip list prompts`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from benchmarks.settings.choices import GROUPS, options
from benchmarks.settings.folders import check_own, config_roots
from falip.errors import UserError

_INDENT = "   "
KINDS = {f"{group}s": group for group in GROUPS}


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the choices of one kind or of all; 2 if the user must mend something."""
    parser = argparse.ArgumentParser(
        prog="falip list",
        description="Lists what a command can choose, as in `falip run prompt=foveal backbone=vit_b16 task=rec/refcoco`.",
    )
    parser.add_argument("kind", nargs="?", choices=(*KINDS, "all"), default="all", help="what to list (%(default)s)")
    parser.add_argument(
        "--config-dir", type=Path, action="append", default=[], help="a folder of your own; may be repeated"
    )
    arguments = parser.parse_args(argv)
    try:
        for folder in arguments.config_dir:
            check_own(folder)
        folders = [*config_roots(), *arguments.config_dir]
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    kinds = KINDS if arguments.kind == "all" else [arguments.kind]
    sys.stdout.write("\n\n".join("\n".join(lines(kind, folders)) for kind in kinds) + "\n")
    return 0


def lines(kind: str, folders: Sequence[Path]) -> Iterator[str]:
    """A heading, and a line for each choice, with the commands that its file begins with below it.

    Args:
        kind: One of `KINDS`.
        folders: Where configurations lie.
    """
    group = KINDS[kind]
    names = options(group, folders)
    width = max(map(len, names), default=0)
    yield f"{kind} ({'+' if group == 'experiment' else ''}{group}=NAME)"
    for name in names:
        sentence, commands = meaning(next(path for path in _files(group, name, folders)))
        yield f"  {name:{width}}  {sentence}".rstrip()
        yield from (f"  {'':{width}}    {command}" for command in commands)


def meaning(file: Path) -> tuple[str, list[str]]:
    """What a configuration file says of itself at its top.

    Returns:
        The first sentence of its comment, "" where there is none; and the first lines there that are indented.
    """
    written = file.read_text(encoding="utf-8").splitlines()
    lines = [line[1:] for line in takewhile(lambda line: line.startswith("#"), written)]
    comment = [line for line in lines if not line.startswith(" @package")]
    words = list(takewhile(lambda line: not line.startswith(_INDENT), comment))
    commands = takewhile(lambda line: line.startswith(_INDENT), comment[len(words) :])
    return _first_sentence(" ".join(line.strip() for line in words)), [line.removeprefix(_INDENT) for line in commands]


def _first_sentence(text: str) -> str:
    """Up to the first full stop that ends a word, other than that of "Fig." or of dots, and has a capital behind it."""
    end = re.search(r"(?<!Fig)(?<!\.)\.(?= [A-Z])", text)
    return text[: end.end()] if end else text


def _files(group: str, name: str, folders: Sequence[Path]) -> Iterator[Path]:
    yield from (path for folder in folders if (path := folder / group / f"{name}.yaml").is_file())


if __name__ == "__main__":
    sys.exit(main())
