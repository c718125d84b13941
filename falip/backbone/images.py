"""From pictures to the pixel tensor of a vision tower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from falip.backbone.input_size import padded
from falip.geometry import Geometry
from falip.views import Preparation, Views

RAW_DEPTH_MODE = "F"


class ImageProcessing:
    """Resize, crop and normalisation of one backbone.

    Pictures go through transformers' PIL processor, named here because transformers otherwise picks a backend by what is
    installed and the pixels change. Depth maps (mode "F") go in as they are, as PointCLIP does it (trainers/zeroshot.py,
    lines 63 to 67): one channel repeated to three, bilinear with aligned corners, no CLIP mean and deviation.
    """

    def __init__(self, processor: CLIPImageProcessorPil, geometry: Geometry) -> None:
        side = geometry.image_size
        squash = geometry.resize in ("squash", "pad")  # what is padded is square already
        self._geometry = geometry
        self._side = side
        self._processor = processor
        self._options = {
            "size": {"height": side, "width": side} if squash else {"shortest_edge": side},
            "crop_size": {"height": side, "width": side},
            "do_center_crop": not squash,
            # Pictures are RGB already; where Pillow remembers a transparent colour, the processor would paint it white.
            "do_convert_rgb": False,
            "return_tensors": "pt",
        }

    def __call__(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """float32 (images, 3, side, side)."""
        return torch.stack([self._depth(im) if im.mode == RAW_DEPTH_MODE else self._picture(im) for im in images])

    def prepared(self, views: Views) -> tuple[Views, torch.Tensor]:
        """The pictures of views, each as the prompt that made it wants it prepared.

        Returns:
            The views, in which a picture that is prepared in two ways stands twice, and their pixels, float32 (images,
            3, side, side).
        """
        ways = [component.preparation for component in views.components]
        if all(way is None for way in ways):
            return views, self(views.images)
        wanted = dict.fromkeys((i, way) for part, way in zip(views.components, ways, strict=True) for i in part.pictures)
        place = {pair: k for k, pair in enumerate(wanted)}
        components = tuple(
            component.moved([place.get((i, way), -1) for i in range(len(views.images))])
            for component, way in zip(views.components, ways, strict=True)
        )
        images = tuple(views.images[i] for i, _ in wanted)
        pixels = torch.stack([self._by(way, views.images[i]) for i, way in wanted])
        return replace(views, images=images, components=components), pixels

    def _by(self, way: Preparation | None, image: Image.Image) -> torch.Tensor:
        if way is None:
            return self([image])[0]
        return way.pixels(image, self._side, self._processor.image_mean, self._processor.image_std)

    def _picture(self, image: Image.Image) -> torch.Tensor:
        if self._geometry.resize == "pad":
            image = padded(image, self._geometry, self._processor.resample)
        # One pixel high or wide pictures are ambiguous to the processor's guess of where the channels are.
        return self._processor(image, input_data_format="channels_last", **self._options)["pixel_values"][0]

    def _depth(self, image: Image.Image) -> torch.Tensor:
        depth = torch.from_numpy(np.array(image, dtype=np.float32))[None, None]
        resized = torch.nn.functional.interpolate(depth, (self._side, self._side), mode="bilinear", align_corners=True)
        return resized[0].expand(3, -1, -1)
