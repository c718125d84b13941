"""What makes two runs the same run: every setting that can move a number, and none other."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from falip import UserError

# Every leaf of a composed configuration lies under exactly one of these; a test says so. What can move a number is an
# identity; its value enters the run id through the objects built from it. Paths, places and pace are runtime.
IDENTITY = ("task", "backbone", "prompt", "text", "approximation", "metrics")
RUNTIME = (
    "task.dataset.root",
    "task.dataset.rows",
    "task.masks",
    "task.sentences.file",
    "task.dataset.masks",
    "task.dataset.contract",
    "task.dataset.accept_outside",
    "task.dataset.megapixels",
    "task.dataset.annotations",
    "backbone.device",
    "data_root",
    "results_root",
    "runtime",
)


def classify(leaf: str) -> str:
    """Says "identity" or "runtime" for the dotted name of a configuration leaf.

    Raises:
        UserError: If the leaf is in neither list, so that nobody knows whether it can move a number.
    """
    for kind, prefixes in (("runtime", RUNTIME), ("identity", IDENTITY)):
        if any(leaf == prefix or leaf.startswith(f"{prefix}.") for prefix in prefixes):
            return kind
    raise UserError(
        f"The setting {leaf!r} is neither identity nor runtime. Add it to a list in benchmarks.settings.identity."
    )


def leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of all leaves of a plain configuration; a list is a leaf."""
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{name}.")
        else:
            yield name, value


def describe(thing: Any) -> Any:
    """A JSON tree of a prompt or a protocol with every parameter and code version, defaults included.

    Names are left out: they are what tables call a thing, and move no number.
    """
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        tree = {
            field.name: describe(getattr(thing, field.name))
            for field in dataclasses.fields(thing)
            if field.name != "name" and not _left_out(field, getattr(thing, field.name))
        }
        kind = {"type": kind_of(thing)}
        version = getattr(type(thing), "version", None)
        return kind | ({} if version is None else {"version": version}) | tree
    if isinstance(thing, Mapping):
        return {str(key): describe(value) for key, value in thing.items()}
    if isinstance(thing, str | int | float | bool | None):
        return thing
    try:
        items: Any = thing
        return [describe(value) for value in items]
    except TypeError as error:
        raise UserError(
            f"{type(thing).__name__} cannot be part of a run's identity. Make the prompt a frozen dataclass, so that its "
            "parameters are known."
        ) from error


def _left_out(field: dataclasses.Field[Any], value: Any) -> bool:
    """Whether it came later, and is at its default: the runs of before had the same numbers, and keep their ids."""
    return field.metadata.get("since") == "later" and value == field.default


def kind_of(thing: Any) -> str:
    """Name of a class, with its module where it is not of this project, so that two of the same name differ."""
    cls = type(thing)
    return cls.__name__ if cls.__module__.split(".")[0] in ("falip", "benchmarks") else f"{cls.__module__}.{cls.__name__}"


def run_id(identity: Mapping[str, Any]) -> str:
    """12 hexadecimal digits of the sha256 of an identity."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
