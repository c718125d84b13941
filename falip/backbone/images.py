"""From pictures to the pixel tensor of a vision tower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from falip.backbone.resizing import resized
from falip.geometry import Geometry
from falip.views import Preparation, Views

RAW_DEPTH_MODE = "F"


class ImageProcessing:
    """Resize, crop and normalisation of one backbone.

    Pictures become what transformers' PIL processor makes of them, to the bit; it is named here because transformers
    otherwise picks a backend by what is installed and the pixels change. They stay 8 bits up to the model's device, where
    its scaling, mean and deviation are a table of 256 values for each channel. Depth maps (mode "F") go in as they are, as
    PointCLIP does it (trainers/zeroshot.py, lines 63 to 67): one channel repeated to three, bilinear with aligned corners,
    no CLIP mean and deviation.
    """

    def __init__(self, processor: CLIPImageProcessorPil, geometry: Geometry) -> None:
        side = geometry.image_size
        self._geometry = geometry
        self._side = side
        self._processor = processor
        self._table = self._normalising()

    def __call__(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """float32 (images, 3, side, side)."""
        return self.normalised(self.pixels(images))

    def pixels(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Pictures resized and cut: uint8 (images, 3, side, side), or float32 and normalised if one is a depth map."""
        coloured = [image for image in images if image.mode != RAW_DEPTH_MODE]
        if len(coloured) == len(images):
            return self._squares(images)
        squares = iter(self.normalised(self._squares(coloured)) if coloured else ())
        return torch.stack([self._depth(im) if im.mode == RAW_DEPTH_MODE else next(squares) for im in images])

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """What the processor makes of 8 bits, to the bit, on the device that they are on; floats stay as they are."""
        if pixels.dtype != torch.uint8:
            return pixels
        table = self._table.to(pixels.device)
        rows = torch.arange(0, table.numel(), table.shape[1], dtype=torch.int32, device=pixels.device)[:, None, None]
        found = torch.empty(pixels.shape, device=pixels.device)
        step = 1 if pixels.device.type == "cpu" else max(len(pixels), 1)  # one picture stays within a CPU's caches
        for some, normal in zip(pixels.split(step), found.split(step), strict=True):
            torch.index_select(table.flatten(), 0, some.int().add_(rows).flatten(), out=normal.view(-1))
        return found

    def prepared(self, views: Views) -> tuple[Views, torch.Tensor]:
        """The pictures of views, each as the prompt that made it wants it prepared.

        Returns:
            The views, in which a picture that is prepared in two ways stands twice, and their pixels, (images, 3, side,
            side), uint8 or, where a depth map or a prompt's own way is among them, float32 and normalised.
        """
        ways = [component.preparation for component in views.components]
        if all(way is None for way in ways):
            return views, self.pixels(views.images)
        wanted = dict.fromkeys((i, way) for part, way in zip(views.components, ways, strict=True) for i in part.pictures)
        place = {pair: k for k, pair in enumerate(wanted)}
        components = tuple(
            component.moved([place.get((i, way), -1) for i in range(len(views.images))])
            for component, way in zip(views.components, ways, strict=True)
        )
        images = tuple(views.images[i] for i, _ in wanted)
        ours = iter(self([views.images[i] for i, way in wanted if way is None]))
        pixels = [next(ours) if way is None else self._by(way, views.images[i]) for i, way in wanted]
        return replace(views, images=images, components=components), torch.stack(pixels)

    def _by(self, way: Preparation, image: Image.Image) -> torch.Tensor:
        return way.pixels(image, self._side, self._processor.image_mean, self._processor.image_std)

    def _squares(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """uint8 (images, 3, side, side)."""
        found = np.empty((len(images), 3, self._side, self._side), np.uint8)
        pictures = resized(images, lambda size: self._geometry.resized(size)[0], self._processor.resample)
        for i, (image, picture) in enumerate(zip(images, pictures, strict=True)):
            left, top = self._geometry.resized(image.size)[1]
            # Where a picture does not reach, Pillow's crop is black: what is padded is black there (CLIPSelf
            # src/open_clip/transform.py, lines 136 to 191).
            square = picture.crop((left, top, left + self._side, top + self._side))
            found[i] = np.asarray(square).transpose(2, 0, 1)
        return torch.from_numpy(found)

    def _normalising(self) -> torch.Tensor:
        """What the processor makes of each value of 8 bits, float32 (3, 256)."""
        ramp = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2))
        rest = {"do_resize": False, "do_center_crop": False, "do_convert_rgb": False, "return_tensors": "pt"}
        return self._processor(ramp, input_data_format="channels_last", **rest)["pixel_values"][0, :, 0]

    def _depth(self, image: Image.Image) -> torch.Tensor:
        depth = torch.from_numpy(np.array(image, dtype=np.float32))[None, None]
        resized = torch.nn.functional.interpolate(depth, (self._side, self._side), mode="bilinear", align_corners=True)
        return resized[0].expand(3, -1, -1)
