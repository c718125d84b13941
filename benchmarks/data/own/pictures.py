"""The pictures that one's own table names: paths are relative to the table, or absolute."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from benchmarks.data.files import fingerprint
from falip.errors import UserError
from falip.reading import PictureReader


class Pictures:
    """Reads the pictures beside a file that names them.

    Args:
        folder: What relative names are relative to.
        megapixels: The largest picture that is decoded.
    """

    def __init__(self, folder: Path, megapixels: float) -> None:
        self.folder = folder
        self.reader = PictureReader(megapixels, setting="task.dataset.megapixels=...", mend="Put a sound file in its place")

    def path(self, name: str, place: str) -> Path:
        """The file of a name.

        Args:
            name: As the table has it.
            place: "FILE, line N", for the message.

        Raises:
            UserError: If there is no such file.
        """
        path = self.folder / name
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):  # a name that no file can have
            pass
        raise UserError(f"{place}: there is no picture {name}. Relative names start at {self.folder.absolute()}.")

    def read(self, path: Path) -> Image.Image:
        """A picture of mode RGB.

        Raises:
            UserError: If it is broken or too large.
        """
        return self.reader.picture(path)

    def digest(self, names: Iterable[str]) -> str:
        """What the pictures are known by in a run's identity: their names and sizes."""
        return fingerprint((name, self.folder / name) for name in names)
