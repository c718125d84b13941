"""Pictures in the folder layout of DomainBed, domain/class/picture: VLCS, PACS, OfficeHome, TerraIncognita, DomainNet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data.class_split import ClassSplit, check_share
from benchmarks.data.files import check_choice, data_folder, existing, fingerprint
from benchmarks.data.images import LabelledImage, picture_reader, read_image
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from falip import Region
from falip.errors import UserError
from falip.reading import MEGAPIXELS

# DomainBed, domainbed/datasets.py: the folder of each set below the data folder.
FOLDERS: Mapping[str, str] = {
    "vlcs": "VLCS",
    "pacs": "PACS",
    "office_home": "office_home",
    "terra_incognita": "terra_incognita",
    "domain_net": "domain_net",
}
SPLITS = ("all", "target", "train", "held_out")
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


class DomainBed:
    """One of DomainBed's sets, found in `<root>/<its folder>/`; the whole picture is the region, and slices are domains.

    Args:
        root: The folder of all data sets.
        split: "all" (every domain, for a model that was trained on none), "target", or of the other domains "train" and
            "held_out".
        collection: "vlcs", "pacs", "office_home", "terra_incognita" or "domain_net".
        target: The domain that training must not see; None for none, with "all", "train" and "held_out".
        held_out: Share of each domain that "held_out" has and "train" has not.
        seed: DomainBed's trial seed, which draws it.
        classes: As the next, see `ClassSplit`.
        open_ratio: Share of the classes that are new.
        megapixels: The largest picture that is decoded.

    Raises:
        UserError: If a setting has no meaning, or when read: if a folder is missing or empty.
    """

    def __init__(
        self,
        root: str,
        split: str = "all",
        collection: str = "pacs",
        target: str | None = None,
        held_out: float = 0.2,
        seed: int = 0,
        classes: str = "all",
        open_ratio: float = 0.5,
        megapixels: float = MEGAPIXELS,
    ) -> None:
        check_choice(split, SPLITS, "The split of DomainBed's sets", "task.split")
        check_choice(collection, list(FOLDERS), "The set", "task.dataset.collection")
        check_share("held_out", held_out)
        if split == "target" and target is None:
            raise UserError("task.split=target needs the domain: add task.dataset.target=...")
        self.root, self.split, self.collection, self.target = Path(root), split, collection, target
        self.held_out, self.seed, self.class_split = held_out, seed, ClassSplit(classes, open_ratio)
        self.mend = f"put {FOLDERS[collection]}/DOMAIN/CLASS/PICTURE below the data root (DomainBed's download.py makes it)"
        self.reader = picture_reader(megapixels, self.mend)

    @cached_property
    def folder(self) -> Path:
        """The folder of the set."""
        return existing(data_folder(self.root, self.mend) / FOLDERS[self.collection], "folder of the set", self.mend)

    @cached_property
    def domains(self) -> tuple[str, ...]:
        """All domains in the order of their names."""
        found = _folders(self.folder)
        if not found:
            raise UserError(f"{self.folder} has no domain: {self.mend}.")
        if self.target is not None:
            check_choice(self.target, found, f"The target of {self.collection}", "task.dataset.target")
        return found

    @cached_property
    def _every_class(self) -> tuple[str, ...]:
        first = _folders(self.folder / self.domains[0])
        for domain in self.domains[1:]:
            if _folders(self.folder / domain) != first:
                raise UserError(f"{self.folder / domain} has other classes than {self.domains[0]}: {self.mend}.")
        return first

    @property
    def class_names(self) -> tuple[str, ...]:
        """The kept classes, named after their folders, in order of the names."""
        return tuple(self._every_class[label] for label in self.class_split.kept(len(self._every_class)))

    @cached_property
    def _items(self) -> tuple[LabelledImage, ...]:
        label = {name: i for i, name in enumerate(self.class_names)}
        items = []
        for place, domain in enumerate(self.domains):
            if self.split != "all" and (domain == self.target) != (self.split == "target"):
                continue
            paths = [p for name in self._every_class for p in _pictures(self.folder / domain / name)]
            for path in self._drawn(paths, place):
                if path.parent.name in label:
                    name = path.relative_to(self.folder).as_posix()
                    items.append(LabelledImage(name, path, label[path.parent.name], "", domain))
        if not items:
            raise UserError(f"The split {self.split} of {self.folder} has no picture: {self.mend}.")
        return tuple(items)

    def _drawn(self, paths: list[Path], place: int) -> list[Path]:
        """A domain's pictures of the split, drawn as DomainBed does (lib/misc.py, split_dataset and seed_hash)."""
        if self.split not in ("train", "held_out"):
            return paths
        digest = hashlib.md5(str((self.seed, place)).encode(), usedforsecurity=False).hexdigest()
        keys = list(range(len(paths)))
        np.random.RandomState(int(digest, 16) % 2**31).shuffle(keys)
        out = int(len(paths) * self.held_out)
        return [paths[i] for i in sorted(keys[:out] if self.split == "held_out" else keys[out:])]

    @cached_property
    def index(self) -> Sequence[SampleInfo]:
        """One entry for each picture, by domain, class and name."""
        return [SampleInfo(item.id, 1, 1) for item in self._items]

    @property
    def identity(self) -> dict[str, Any]:
        """What was drawn and how, names and sizes of pictures, and equal shares: domains count alike in their mean."""
        domains = list(dict.fromkeys(item.slice for item in self._items))
        return {
            "name": "domainbed", "version": 1, "collection": self.collection, "split": self.split, "target": self.target,
            "held_out": self.held_out, "seed": self.seed, "classes": self.class_split.classes,
            "open_ratio": self.class_split.open_ratio,
            "group_shares": {domain: 1 / len(domains) for domain in domains},
            "pictures": fingerprint((item.id, item.path) for item in self._items),
        }  # fmt: skip

    def load(self, i: int) -> Sample:
        """One picture, the region of which is all of it.

        Raises:
            UserError: If the picture is missing or broken.
        """
        item = self._items[i]
        image = read_image(item.path, self.reader, self.mend)
        query = Query(item.id, self.class_names[item.label], label=item.label, slice=item.slice)
        return Sample(item.id, (Picture(image, (Region.from_box(0, 0, *image.size),)),), (query,))


def _folders(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
