"""The one exception that is meant for the user and not for the developer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real


class UserError(Exception):
    """An error that the user can mend: what is wrong, the value, where it came from, and the mend.

    Entry points print its message without a traceback and exit with status 2.
    """


def check_choice(owner: str, name: str, value: object, choices: Sequence[str]) -> None:
    """Raises a UserError unless the value of a parameter is one of the choices."""
    if value not in choices:
        raise UserError(f"{owner} has {name}={value!r}: choose from {', '.join(choices)}.")


def check_number(owner: str, name: str, value: object, *, positive: bool = False) -> None:
    """Raises a UserError unless the value of a parameter is finite and not negative, or positive where that is asked."""
    if not isinstance(value, Real) or not math.isfinite(value) or value < 0 or (positive and value == 0):
        raise UserError(f"{owner} has {name}={value!r}: give a finite number {'above 0' if positive else 'of at least 0'}.")


def check_weights(owner: str, weights: Sequence[float] | None, count: int, parts: str) -> None:
    """Raises a UserError unless there are no weights, or a finite one for each part, not all 0."""
    if weights is None:
        return
    if len(weights) != count:
        raise UserError(f"{owner} has {len(weights)} weights for {count} {parts}: give one for each.")
    if not all(isinstance(weight, Real) and math.isfinite(weight) for weight in weights) or not any(weights):
        raise UserError(f"{owner} has weights={list(weights)}: give finite numbers, of which one at least is not 0.")
