"""Pixels travel to a GPU as 8 bits in pinned memory, by a copy that waits for nothing."""

from types import SimpleNamespace

import pytest
import torch
from random_clip import picture

from falip import RedCircle, Region


class Carried:
    """Pixels that remember how they were moved, since a GPU is not at hand."""

    def __init__(self, pixels: torch.Tensor, log: list[str]) -> None:
        self.pixels, self.log = pixels, log
        self.dtype, self.device = pixels.dtype, pixels.device

    def pin_memory(self):
        self.log.append("pinned")
        return self

    def to(self, device, non_blocking=False):
        self.log.append(f"{self.dtype} to {device.type}{' beside other work' if non_blocking else ''}")
        return self.pixels


@pytest.mark.parametrize(("device", "steps"), [("cuda", ["pinned"]), ("cpu", [])])
def test_pixels_go_to_a_gpu_as_bytes_over_pinned_memory(device, steps, random_clip, monkeypatch):
    backbone = random_clip()
    views = RedCircle()(picture(60, 50), [Region.from_box(5, 5, 30, 30)], backbone.geometry)
    expected = backbone.prepare(views).pixels
    assert expected.dtype == torch.float32
    pixels = backbone._inputs(views)[1]
    tower = SimpleNamespace(device=torch.device(device), dtype=torch.float32)
    monkeypatch.setattr(backbone, "tower", tower)
    log: list[str] = []
    found = backbone._to_model(Carried(pixels, log))
    assert log == [*steps, f"torch.uint8 to {device} beside other work"] and torch.equal(found, expected)
