"""The layouts of model folders that falip loads: its own, and those that installed packages bring by an entry point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from falip.errors import UserError

OPEN_CLIP = "open_clip"
GROUP = "falip.towers"
"""The entry points of other packages: a model_type of a config.json, and the place of a `Layout`."""


@dataclass(frozen=True)
class Layout:
    """How the files of a model are called, and what loads them.

    Attributes:
        weights: Groups of patterns; the first group of which a file is there is read. Pickled weights come last.
        settings: What moves numbers beside weights and tokenizer; a configuration of text generation does not.
        load: "module:function", which makes `falip.backbone.parts.Parts` of a folder, a dtype and a way to resize. It is
            named and not imported, since the identity of a run needs no torch.
        package: Name and version of the distribution that brings it, part of a run's identity; "" for falip's own.
    """

    weights: tuple[tuple[str, ...], ...] = (
        ("model.safetensors", "model-*.safetensors"),
        ("pytorch_model.bin", "pytorch_model-*.bin"),
    )
    settings: tuple[str, ...] = ("config.json", "preprocessor_config.json")
    load: str = ""
    package: str = ""


_SENTENCEPIECE = ("sentencepiece.bpe.model", "special_tokens_map.json", "spiece.model", "tokenizer.model")
_OWN: Mapping[str, Layout] = {
    "clip": Layout(load="falip.backbone.transformers_clip:load"),
    "metaclip_2": Layout(settings=Layout.settings + _SENTENCEPIECE, load="falip.backbone.transformers_clip:load_metaclip2"),
    "siglip": Layout(settings=Layout.settings + _SENTENCEPIECE, load="falip.backbone.siglip:load"),
    # config.json may say which tokenizer it is.
    OPEN_CLIP: Layout(
        (("open_clip_model.safetensors",), ("open_clip_pytorch_model.bin",)),
        ("open_clip_config.json", "config.json"),
        "falip.backbone.open_clip:load",
    ),
}


def kinds() -> list[str]:
    """All that there are: transformers' models by the model_type of their config.json, and open_clip's."""
    return [*_OWN, *(name for name in _entries() if name not in _OWN)]


@cache
def layout_named(kind: str) -> Layout:
    """One of `kinds`.

    Raises:
        UserError: If a package brings it that falip has itself, or that another package brings too, or what it names
            cannot be imported or is no `Layout`.
    """
    found = _entries().get(kind, [])
    if kind in _OWN and not found:
        return _OWN[kind]
    (entry, *others) = found
    if kind in _OWN or others:
        holders = [*(["falip itself"] if kind in _OWN else []), *map(_source, found)]
        raise UserError(f"There are two loaders of model_type {kind!r}: {' and '.join(holders)}. Uninstall one.")
    try:
        layout = entry.load()
    except Exception as error:  # whatever the package raises when it is imported
        raise UserError(f"{_told(entry)}, which cannot be imported: {error}. {_mend(entry)}") from error
    if not isinstance(layout, Layout) or layout.load.count(":") != 1:
        raise UserError(f"{_told(entry)}, which is no falip.layouts.Layout with load='module:function'. {_mend(entry)}")
    return replace(layout, package=_source(entry))


@cache
def _entries() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for entry in dict.fromkeys(entry_points(group=GROUP)):  # a package that lies on the path twice counts once
        found.setdefault(entry.name, []).append(entry)
    return found


def _source(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"


def _told(entry: EntryPoint) -> str:
    return f"{_source(entry)} says of itself [{GROUP}] {entry.name} = {entry.value}"


def _mend(entry: EntryPoint) -> str:
    name = entry.dist.name if entry.dist else ""
    return f"Install a version that is whole, or uninstall it: pip uninstall {name}."
