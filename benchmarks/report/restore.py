"""What a run was made of, brought back from what its run.json says: task with data, prompt, token grid. No model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmarks.data.samples import Picture, Sample
from benchmarks.records.run import Run
from benchmarks.records.runs import differences
from benchmarks.report.known import prompt_from, task_from
from benchmarks.settings.towers import PROBE, tower_in
from falip.errors import UserError
from falip.geometry import Geometry, Resize
from falip.weights import OPEN_CLIP_CONFIG

# Prompts that only edit pictures ask nothing of the token grid; this one stands in where it is not known.
NOMINAL = Geometry(224, 16, 24, 16)


def rebased(tree: Any, old: str, new: str) -> Any:
    """A configuration with another data folder: every path that began with the old one."""
    if isinstance(tree, Mapping):
        return {key: rebased(value, old, new) for key, value in tree.items()}
    if isinstance(tree, list):
        return [rebased(value, old, new) for value in tree]
    if isinstance(tree, str) and (tree == old or tree.startswith(f"{old}/")):
        return new + tree[len(old) :]
    return tree


class TaskData:
    """The samples of a task, by their ids.

    Args:
        run: Any run of the task.
        data_root: Folder to read the data from, or None for the one that the run read.

    Raises:
        UserError: If the configuration is not stored, the task or data set is none of this project's, or the data are not
            here or are others than the run's.
    """

    def __init__(self, run: Run, data_root: str | None) -> None:
        config = run.info.get("config") or {}
        if "task" not in config:
            raise UserError("run.json holds no configuration, so the pictures cannot be found again")
        settings, old = config["task"], config.get("data_root")
        if data_root and old:
            settings = rebased(settings, str(old), data_root)
        self.task = task_from(run.identity.get("task"), settings.get("dataset"))
        _check_same(run, self.task.dataset.identity)
        self._places = {info.id: i for i, info in enumerate(self.task.dataset.index)}

    @property
    def class_names(self) -> Sequence[str]:
        """Names in label order; empty for REC."""
        return self.task.dataset.class_names

    def load(self, sample_id: str) -> Sample:
        """A sample with its pictures decoded.

        Raises:
            UserError: If the data set has no such sample, or its picture is missing or broken.
        """
        if sample_id not in self._places:
            raise UserError(f"the data set here has no sample {sample_id!r}; it is another version than the run's")
        return self.task.dataset.load(self._places[sample_id])

    def pictures(self, sample: Sample) -> Sequence[Picture]:
        """The pictures and regions as the model got them."""
        return self.task.pictures(sample)

    def region_of(self, sample: Sample) -> dict[int, int]:
        """For each candidate that took part its place among the regions."""
        if not sample.boxes:
            return {}
        return {candidate: place for place, candidate in enumerate(self.task.kept(sample))}


def _check_same(run: Run, found: Mapping[str, Any]) -> None:
    """Pictures of another version of the data would be shown beside decisions about other pictures."""
    stored = (run.identity.get("task") or {}).get("dataset")
    here = json.loads(json.dumps(found, default=str))
    if stored == here:
        return
    then, now = differences([stored, here])
    raise UserError(f"the data set here is not the one that {run.name} has seen: then {then}, now {now}")


class RunSetting:
    """The prompt and the token grid of a run.

    Attributes:
        prompt: The prompt.

    Raises:
        UserError: If the prompt is none of this project's, or of another version.
    """

    def __init__(self, run: Run) -> None:
        settings = (run.info.get("config") or {}).get("backbone") or {}
        self._members: Sequence[Mapping[str, Any]] = settings.get("members") or [settings]
        self._identity = run.identity.get("backbone")
        self.prompt: Any = prompt_from(run.identity.get("prompt"))

    @property
    def backbone(self) -> dict[str, Any] | None:
        """Arguments of `falip.load_backbone`; None for several backbones, or where they are not stored."""
        names = ("name", "revision", "dtype", "resize", "alpha_weights", "image_size")
        given = {key: self._members[0].get(key) for key in names}
        known = {key: value for key, value in given.items() if isinstance(value, int if key == "image_size" else str)}
        return known if len(self._members) == 1 and "name" in known else None

    @property
    def alpha_identity(self) -> str | None:
        """sha256 of the alpha weights that the run had; None where it had none, or of several backbones."""
        members = self._identity if isinstance(self._identity, list) else []
        found = members[0].get("alpha_weights") if len(members) == 1 and isinstance(members[0], Mapping) else None
        return found if isinstance(found, str) else None

    @cached_property
    def geometry(self) -> Geometry | None:
        """Token grid of the (first) backbone, from its configuration; None where that is not on this machine."""
        first = self._members[0]
        folder, resize = _folder(str(first.get("name", ""))), first.get("resize", "squash")
        if folder is None or resize not in get_args(Resize):
            return None
        try:
            tower = tower_in(folder)
        except UserError:
            return None
        if max(tower.side, tower.patch, tower.layers) >= 10_000 or tower.patch > tower.side:
            return None
        side = first.get("image_size") or tower.side
        if not isinstance(side, int) or not tower.patch <= side < 10_000:
            return None
        # No prompt asks how many heads there are; SigLIP squashes whatever is asked for.
        return Geometry(side, tower.patch, tower.layers, 1, "squash" if tower.mask == PROBE else resize)


def _folder(name: str) -> Path | None:
    """The folder of a model that has its configuration on this machine."""
    import falip

    folder = Path(falip.__file__).parent / "tiny" if name == "tiny" else Path(name)
    configurations = ("config.json", OPEN_CLIP_CONFIG)
    with suppress(OSError, ValueError):  # a name that no file system takes
        if any((folder / file).is_file() for file in configurations):
            return folder
    if name.count("/") != 1:
        return None
    from huggingface_hub import try_to_load_from_cache

    try:
        cached = [try_to_load_from_cache(name, file) for file in configurations]
    except ValueError:  # no name that the hub could have
        return None
    return next((Path(found).parent for found in cached if isinstance(found, str)), None)


def finite(values: Sequence[float] | np.ndarray, decimals: int = 3) -> list[float | None]:
    """Numbers for JSON, None for what is not finite."""
    return [round(float(v), decimals) if np.isfinite(v) else None for v in values]
