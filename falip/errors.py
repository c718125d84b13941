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
