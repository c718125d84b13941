"""One's own referring expressions: a table of candidate boxes, and a table of expressions."""

from __future__ import annotations

from benchmarks.data.own.referring import ReferringFiles
from benchmarks.data.own.table import BOX, Faults, Row, read_table
from falip.errors import UserError
from falip.reading import MEGAPIXELS
from falip.regions import Box


class ReferringTable(ReferringFiles):
    """Candidates from a CSV file with the columns image, id, x0, y0, x1, y1 (pixels), one line for each box.

    Pictures are named relative to it.

    Args:
        candidates: The table of boxes.
        expressions: As for the rest, see `ReferringFiles`.
        split: What tables call this part of the data.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.
    """

    name = "csv"

    def __init__(
        self,
        candidates: str,
        expressions: str,
        split: str = "all",
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
    ) -> None:
        super().__init__(candidates, expressions, None, split, accept_outside, megapixels)

    def _read(self) -> dict[str, dict[str, Box]]:
        images: dict[str, dict[str, Box]] = {}
        faults = Faults()
        for row in read_table(self.file, ("image", "id", *BOX)):
            with faults.caught():
                name, key = row.text("image"), row.text("id")
                self.pictures.path(name, row.place)
                if key in images.get(name, {}):
                    raise UserError(f"{row.place}: the candidate {key} of {name} is there already.")
                box = row.box()
                images.setdefault(name, {})[key] = box
        faults.raise_any(str(self.file))
        return images

    def _image(self, row: Row) -> str:
        name = row.text("image")
        if name not in self._candidates:
            raise UserError(f"{row.place}: no candidate is of the picture {name}.")
        return name
