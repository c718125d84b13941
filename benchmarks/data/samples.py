"""What a data set hands to the runner: samples with pictures, regions and queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image

from falip import Region
from falip.regions import Box


@dataclass(frozen=True)
class Query:
    """One question about a sample.

    Attributes:
        id: Unique in the data set: one for each expression, or for each picture or region to classify.
        text: The expression, or the name of the right class, without any template.
        targets: For REC the gold boxes of the referent (x0, y0, x1, y1 in pixels); empty otherwise.
        label: For recognition the index of the right class, or of the right one of `texts`; -1 for REC.
        slice: What tables break results down by ("colour", "waterbird on land"), or "".
        region: For recognition the place, among all regions of the sample, of the one that is asked about; None for all
            of them together, as of the depth maps of one object.
        texts: For recognition what this query alone has to choose from; empty where that is the classes.
    """

    id: str
    text: str
    targets: tuple[Box, ...] = ()
    label: int = -1
    slice: str = ""
    region: int | None = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Picture:
    """An image and the regions to look at; a depth map is an image of mode "F" (raw depth, 0 where empty)."""

    image: Image.Image
    regions: tuple[Region, ...]


@dataclass(frozen=True, eq=False)
class Sample:
    """All that is asked about one image, or about the depth maps of one object.

    Attributes:
        id: Unique in the data set; the cluster for intervals (the image).
        pictures: One for an image; six for the depth maps of an object.
        queries: All expressions or regions of the image, so that it is encoded once.
        boxes: For REC the candidates as the data set has them (x0, y0, x1, y1), before any is dropped.
        fallback: True where the candidates are missing and the whole image stands in.
    """

    id: str
    pictures: tuple[Picture, ...]
    queries: tuple[Query, ...]
    boxes: tuple[Box, ...] = ()
    fallback: bool = False


@dataclass(frozen=True)
class SampleInfo:
    """What is known of a sample without decoding its image."""

    id: str
    queries: int
    regions: int


class Dataset(Protocol):
    """A data set and one of its splits.

    `index` is cheap: it reads annotations, and of pictures no more than their headers. `load` decodes one sample and is
    called in worker threads; it raises `UserError` naming the file when a picture is missing or broken, or what is said of
    the sample is wrong. A data set of expressions has `expressions()` too, all of them. Nothing but `load` imports torch.
    """

    @property
    def index(self) -> Sequence[SampleInfo]:
        """All samples in a fixed order."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in label order; empty for REC."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What the numbers depend on: name, split, version or hashes of the annotation files, proposals."""
        ...

    def load(self, i: int) -> Sample:
        """Sample `i` of `index`, its image decoded."""
        ...


@dataclass(frozen=True)
class SplitContract:
    """How many samples and queries a split must have; None where no source says."""

    samples: int | None = None
    queries: int | None = None
    source: str = field(default="")
