"""run.json: reading it, and what must hold of it, so that nothing that reads runs stumbles over a stranger's file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from falip.errors import UserError

_DEEPEST = 60  # a real one is not deeper than 12, and recursion ends at 1,000
_LARGEST = 2**63

Shape = Any
TEXT, NUMBER = (str,), (int, float)
LABELS = ("task", "split", "backbone", "prompt")
# What each entry must be, where it is there: types, a list of something, a mapping of something, or named entries.
_DATASET = {"group_shares": {...: NUMBER}, "name": TEXT}
_SHAPE: Mapping[str, Shape] = {
    "run_id": TEXT,
    "status": TEXT,
    "started": TEXT,
    "finished": TEXT,
    "device": TEXT,
    "subset": (bool,),
    "labels": {...: TEXT},
    "identity": {
        "task": {"dataset": _DATASET, "type": TEXT},
        "prompt": {"type": TEXT, "combine": TEXT},
        "approximation": TEXT,
        "limit": (int,),
    },
    "components": [TEXT],
    "overrides": [TEXT],
    "experiments": [TEXT],
    "counts": {"expected": (int,)},
    "config": {
        "task": {"dataset": {}},
        "prompt": {},
        "backbone": {"members": [{}]},
        "data_root": TEXT,
    },
    "git": {"commit": TEXT},
    "versions": {},
    "numerics": {},
    "timing": {},
    "error": {},
}


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object of plain values.

    Raises:
        ValueError: If the file cannot be read or holds something else, numbers that no program writes, or text that
            cannot be written again. The message goes on after the name of the file.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror or error})") from error
    except RecursionError:
        raise ValueError("is not valid JSON (its brackets are nested too deep)") from None
    except ValueError as error:
        raise ValueError(f"is not valid JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError("does not hold a JSON object")
    for depth, value in _values(found):
        if depth > _DEEPEST:
            raise ValueError("is not valid JSON (its brackets are nested too deep)")
        problem = _problem(value)
        if problem:
            raise ValueError(problem)
    return found


def _values(tree: Any) -> Iterator[tuple[int, Any]]:
    """Keys, leaves and depths of a tree, without recursion, which a deep one would exhaust."""
    waiting = [(0, tree)]
    while waiting:
        depth, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(depth + 1, v) for pair in value.items() for v in pair]
        elif isinstance(value, list):
            waiting += [(depth + 1, v) for v in value]
        yield depth, value


def _problem(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f"holds the number {value}"
    if isinstance(value, int) and abs(value) > _LARGEST:
        return f"holds a number of more than {len(str(_LARGEST))} digits"
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return f"holds half a character: {value[:40]!a}"
    return ""


def check_shape(info: Mapping[str, Any]) -> str:
    """What of a run.json is not as it must be; "" where all is well."""
    lacking = [name for name in ("run_id", "status") if name not in info]
    labels = info.get("labels")
    lacking += [f"labels.{name}" for name in LABELS if not isinstance(labels, dict) or name not in labels]
    if lacking:
        return f"lacks {', '.join(sorted(lacking))}"
    return _misfit(info, _SHAPE, "")


def _misfit(value: Any, shape: Shape, name: str) -> str:
    if value is None and name not in ("run_id", "status") and not name.startswith("labels."):
        return ""
    if isinstance(shape, tuple):
        fits = isinstance(value, shape) and (bool in shape or not isinstance(value, bool))
        return "" if fits else f"has {name} {_brief(value)}, which must be a {' or '.join(map(_word, shape))}"
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"has {name} {_brief(value)}, which must be a list"
        return next((m for i, item in enumerate(value) if (m := _misfit(item, shape[0], f"{name}[{i}]"))), "")
    if not isinstance(value, Mapping):
        return f"has {name} {_brief(value)}, which must be an object"
    inner = ((key, shape.get(key, shape.get(...))) for key in value)
    found = (_misfit(value[key], one, f"{name}.{key}".lstrip(".")) for key, one in inner if one is not None)
    return next(filter(None, found), "")


def _word(kind: type) -> str:
    return {str: "text", bool: "true or false", int: "whole number", float: "number"}[kind]


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def unusable(path: Path, why: str) -> UserError:
    """The message for a run.json that cannot be used, with the mend."""
    return UserError(f"cannot read {path}: it {why}. Delete the folder {path.parent} and run again")
