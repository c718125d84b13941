"""From configurations to objects, with errors that name the setting and not the constructor."""

from __future__ import annotations

import difflib
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate

from falip import UserError

_SPECIAL = ("_target_", "_convert_", "_recursive_", "_partial_", "_args_")


def build(config: Mapping[str, Any], where: str) -> Any:
    """The object that a resolved configuration describes by `_target_` and arguments, those inside it included.

    Args:
        config: Plain dictionaries and lists.
        where: Its dotted name, for messages.

    Raises:
        UserError: If a setting is unknown, missing or of the wrong type, or the object itself rejects its arguments.
    """
    try:
        # A list in a configuration stays a plain list, so that prompts and tasks never see omegaconf's types.
        return instantiate(_checked(config, where), _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise


def checked_arguments(target: Callable[..., Any], arguments: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Arguments that fit a signature; whole numbers become floats where floats are asked for, so that 100 is 100.0.

    Args:
        target: A class or function with annotations.
        arguments: What it is to be called with.
        where: Their common dotted name, for messages.

    Raises:
        UserError: If one is unknown, missing, not finite or of the wrong type.
    """
    name, parameters = target.__name__, inspect.signature(target).parameters
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for key in arguments:
        if key not in parameters and not open_ended:
            near = difflib.get_close_matches(key, parameters, 1)
            hint = f" Did you mean {where}.{near[0]}?" if near else ""
            raise UserError(f"{where}.{key}: {name} has no such setting.{hint} There are: {', '.join(parameters)}.")
    for key, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY,
        )  # fmt: skip
        if required and key not in arguments:
            raise UserError(f"{where}.{key} is missing: {name} needs it. Set {where}.{key}=... or add it to the YAML file.")
    hints = _hints(target)
    return {key: _fitting(value, hints.get(key, Any), f"{where}.{key}") for key, value in arguments.items()}


def _checked(config: Any, where: str) -> Any:
    if isinstance(config, list):
        return [_checked(item, f"{where}[{i}]") for i, item in enumerate(config)]
    if not isinstance(config, Mapping):
        return config
    tree = {key: value if key in _SPECIAL else _checked(value, f"{where}.{key}") for key, value in config.items()}
    if "_target_" not in tree:
        return tree
    try:
        target = get_object(tree["_target_"])
    except Exception as error:  # whatever an import may raise
        raise UserError(f"{where}._target_={tree['_target_']}: there is no such class ({error}).") from error
    arguments = {key: value for key, value in tree.items() if key not in _SPECIAL}
    special = {key: value for key, value in tree.items() if key in _SPECIAL}
    return special | checked_arguments(target, arguments, where)


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except NameError:  # a name that is imported for type checkers only
        return {}


def _fitting(value: Any, hint: Any, where: str) -> Any:
    if isinstance(value, Mapping):  # an object that is yet to be built checks itself
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{where}={value}: give a finite number.")
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if not any(_fits(value, option) for option in options):
        raise UserError(f"{where}={value!r}: give {' or '.join(_words(option) for option in options)}.")
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and float in options and int not in options else value


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) in (Sequence, list, tuple):
        items = [option for option in get_args(hint) if option is not Ellipsis] or [Any]
        return isinstance(value, list | tuple) and all(
            isinstance(item, Mapping) or any(_fits(item, option) for option in items) for item in value
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (str, bool, type(None)):
        return isinstance(value, hint)
    return True


def _words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    if get_origin(hint) in (Sequence, list, tuple):
        return f"a list of {' or '.join(_words(option) for option in get_args(hint))}"
    names = {float: "a number", int: "a whole number", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(hint, str(hint))
