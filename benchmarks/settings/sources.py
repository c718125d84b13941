"""The source of the classes that a run is made of, so that an edited formula without a raised version is noticed."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.settings.identity import kind_of


def source_hashes(*things: Any) -> dict[str, str]:
    """For each class of some objects, those inside them included, a hash of the code of its file.

    Words alone (comments, docstrings, layout) do not count. A class without a file is left out.
    """
    found: dict[str, str] = {}
    for thing in things:
        for part in _parts(thing):
            file = _file(type(part))
            if file:
                found[kind_of(part)] = _hash(file)
    return dict(sorted(found.items()))


def changed_sources(then: Mapping[str, Any], now: Mapping[str, str]) -> list[str]:
    """Names of classes whose code is not what it was."""
    return [name for name, value in now.items() if name in then and then[name] != value]


def _parts(thing: Any) -> Iterator[Any]:
    """The object and what it is made of, as far as it says so by its attributes."""
    yield thing
    if dataclasses.is_dataclass(thing):
        for field in dataclasses.fields(thing):
            value = getattr(thing, field.name)
            inner: Iterable[Any] = value if isinstance(value, list | tuple) else (value,)
            for one in inner:
                if _file(type(one)):
                    yield from _parts(one)


def _file(kind: type) -> str:
    """Where a class of Python code is written, or ""."""
    if kind.__module__ == "builtins":
        return ""
    try:
        return inspect.getsourcefile(kind) or ""
    except (TypeError, OSError):
        return ""


@cache
def _hash(file: str) -> str:
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            body[0] = ast.Pass()
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]
