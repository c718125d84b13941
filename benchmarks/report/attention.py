"""CLS attention and head responses of the shown decisions, recomputed with the model and cached."""

from __future__ import annotations

import hashlib
import logging
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from benchmarks.data.samples import Picture
from benchmarks.records.folder import write_atomically
from benchmarks.records.run import Run
from benchmarks.report.groups import Group
from benchmarks.report.restore import RunSetting
from benchmarks.report.views import slots
from falip.errors import UserError

log = logging.getLogger(__name__)

Maps = dict[int, tuple[np.ndarray, np.ndarray]]
SAVE_EVERY = 50
TELL_EVERY_S = 30.0  # where no terminal shows a bar


@dataclass
class Attention:
    """What was recomputed.

    Attributes:
        maps: For (run id, sample id) and slot (the chosen candidate, or the picture) the CLS row before and after,
            each float32 (1 + rows * cols), mean over heads and masked layers.
        responses: For each run id the head responses of each sample, (layers, heads), mean over its slots.
    """

    maps: dict[tuple[str, str], Maps] = field(default_factory=dict)
    responses: dict[str, list[np.ndarray]] = field(default_factory=dict)


def recompute(groups: Sequence[Group], cache: Path) -> Attention:
    """Attention of every method with one view for each region, for the samples shown.

    Args:
        groups: With samples chosen and data restored.
        cache: Folder of one file for each run; what is there is not computed again.
    """
    found = Attention()
    asked = [
        (group, name, run, setting)
        for group in groups
        for (name, run), setting in zip(group.runs.items(), group.settings, strict=True)
        if group.data is not None and setting is not None and setting.backbone is not None
    ]
    total = sum(len(group.sample_ids) for group, *_ in asked)
    log.info("attention of %d pairs of a sample and a method, of %d methods, kept in %s", total, len(asked), cache)
    with logging_redirect_tqdm(), tqdm(total=total, desc="attention", unit="sample", disable=None) as bar:
        for number, (group, name, run, setting) in enumerate(asked, 1):
            log.info("attention %d/%d: %s", number, len(asked), run.name)
            bar.refresh()
            try:
                _recompute_run(group, run, setting, cache / f"{run.run_id}.npz", found, bar)
            except UserError as error:  # its model is not here, or its layers are not
                log.warning("%s: no attention: %s", name, error)
                group.notes.append(f"No attention of {name}: {error}.")
    return found


def _recompute_run(group: Group, run: Run, setting: RunSetting, path: Path, found: Attention, bar: tqdm[Any]) -> None:
    stored = _read(path)
    model = _Model(setting)
    records = dict(list(run.records(("id", "group", "prediction"), group.sample_ids).groupby("group")))
    new, began = 0, time.monotonic()
    told = began
    for done, name in enumerate(group.sample_ids):
        bar.update()
        if bar.disable and time.monotonic() - told > TELL_EVERY_S:
            told, count = time.monotonic(), len(group.sample_ids)
            left = (told - began) / max(done, 1) * (count - done)
            log.info("attention: %d of %d samples, about %.0f s left of this method", done, count, left)
        for slot, picture, place in _asked(group, name, records.get(name)):
            key = hashlib.sha256(f"{name}\0{slot}".encode()).hexdigest()[:20]
            if key not in stored:
                computed = model.study(picture, place)
                if computed is None:
                    log.warning("%s has several views for each region: no attention is shown", run.name)
                    return
                stored[key], stored[f"{key}-heads"] = computed
                new += 1
            before, after = stored[key]
            found.maps.setdefault((run.run_id, name), {})[slot] = (before, after)
            if len(stored[f"{key}-heads"]):
                found.responses.setdefault(run.run_id, []).append(stored[f"{key}-heads"])
        if new and new % SAVE_EVERY == 0:
            _write(path, stored)
    if new:
        _write(path, stored)


def _asked(group: Group, name: str, rows: Any) -> Iterator[tuple[int, Picture, int]]:
    """Slot, picture and region of what is shown of a sample."""
    assert group.data
    if rows is None:
        return
    try:
        sample = group.data.load(name)
    except UserError as error:
        log.warning("%s: no attention: %s", name, error)
        return
    chosen = slots(group.kind, group.data.pictures(sample), group.data.region_of(sample), list(rows.itertuples()))
    yield from ((slot, picture, place) for slot, (picture, place) in chosen.items())


class _Model:
    """The backbone of a run, loaded when something is missing in the cache."""

    _loaded: dict[str, Any] = {}  # noqa: RUF012  (shared on purpose: each backbone is loaded once)

    def __init__(self, setting: RunSetting) -> None:
        self._setting = setting

    def study(self, picture: Picture, place: int) -> tuple[np.ndarray, np.ndarray] | None:
        """CLS rows (before and after, tokens) and head responses (layers, heads); None for several views.

        Of a read-out its similarities stand in for the CLS rows, and no head responds.
        """
        from falip import Plain, load_backbone
        from falip.backbone.responses import head_responses
        from falip.picture.similarity import similarity_maps

        settings = self._setting.backbone
        assert settings
        key = repr(sorted(settings.items()))
        if key not in self._loaded:
            self._loaded[key] = load_backbone(settings["name"], **{k: v for k, v in settings.items() if k != "name"})
        if self._loaded[key].weights.alpha_identity != self._setting.alpha_identity:
            raise UserError(f"the alpha weights {settings.get('alpha_weights')} are not those that the run had")
        backbone, prompt, region = self._loaded[key], self._setting.prompt, picture.regions[place]
        views = prompt(picture.image, [region], backbone.geometry)
        if len(views.components) != 1:
            return None
        if views.components[0].reading:
            maps = similarity_maps(backbone, picture.image, [region], prompt)[:, 0].numpy()
            return maps, np.zeros((0, 0), np.float32)
        layers = list(views.components[0].layers or backbone.geometry.last_layers(min(4, backbone.geometry.layers)))
        rows = [
            backbone.attention(picture.image, [region], one)[0, layers].mean((0, 1)).numpy() for one in (Plain(), prompt)
        ]
        return np.stack(rows), head_responses(backbone, picture.image, [region], prompt)[0].numpy()


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        return {}
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            raise ValueError("a single array")
        with stored:
            return dict(stored)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        log.warning("%s cannot be read (%s) and is made anew", path, error)
        return {}


def _write(path: Path, stored: dict[str, np.ndarray]) -> None:
    def save(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **stored)  # pyright: ignore[reportArgumentType]

    write_atomically(path, save)
