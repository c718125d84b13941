"""What is declared of a data set that can be fetched: its archives, what makes it whole, its licence."""

from __future__ import annotations

from dataclasses import dataclass

NOT_STATED = "not stated"
HUB = "https://huggingface.co"
MB, GB = 10**6, 10**9


@dataclass(frozen=True)
class Archive:
    """One file to download and unpack.

    Attributes:
        file: The name that the download is kept under, and that a mirror serves it by.
        urls: Where it is, in the order of trying.
        folder: Where its content goes, below the folder that the asset's archives are unpacked in.
        size: Bytes to download, about; None where not stated.
        unpacked: Bytes on disk, about; None where not stated.
        digest: "md5:<hex>" or "sha256:<hex>" where a source states it; else the first download's is recorded.
        only: Members to unpack, by their path in the archive; empty for all.
        plain: Whether it is no archive, and the file itself goes into the folder.
    """

    file: str
    urls: tuple[str, ...]
    folder: str = ""
    size: int | None = None
    unpacked: int | None = None
    digest: str = ""
    only: tuple[str, ...] = ()
    plain: bool = False


@dataclass(frozen=True)
class Expected:
    """Files that must be there.

    Attributes:
        pattern: A glob below the asset's folder.
        count: How many files must match, at least.
        source: Who states the number.
        rows: Objects in an HDF5 file, where a source states them.
    """

    pattern: str
    count: int
    source: str = ""
    rows: int | None = None


@dataclass(frozen=True)
class Asset:
    """A folder of the data root that is fetched, verified and recorded as one.

    Attributes:
        name: Its name in reports and on the command line.
        title: What it is, for people.
        folder: Below the data root; its manifest.json lies in it.
        expected: What makes it whole.
        archives: What to download; empty where a person has to.
        inner: How the folder's path ends inside the archive; "" where the archive's top is the folder itself.
        licence: As its publisher states it.
        homepage: Where to read more.
        steps: What a person must do where no program may; numbered when printed.
    """

    name: str
    title: str
    folder: str
    expected: tuple[Expected, ...]
    archives: tuple[Archive, ...] = ()
    inner: str = ""
    licence: str = NOT_STATED
    homepage: str = ""
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A name of the command line and the assets behind it.

    Attributes:
        name: What the user types.
        assets: Names of `ASSETS`, fetched in this order.
        annotations: For the RefCOCO family the annotation file of each split, below reclip_data/.
    """

    name: str
    assets: tuple[str, ...]
    annotations: tuple[tuple[str, str], ...] = ()

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that can be chosen; empty where the data set comes whole."""
        return tuple(split for split, _ in self.annotations)
