"""From pictures to the pixel tensor of a vision tower."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from falip.geometry import Geometry

RAW_DEPTH_MODE = "F"


class ImageProcessing:
    """Resize, crop and normalisation of one backbone.

    Pictures go through transformers' PIL processor, named here because transformers otherwise picks a backend by what is
    installed and the pixels change. Depth maps (mode "F") go in as they are, as PointCLIP does it (trainers/zeroshot.py,
    lines 63 to 67): one channel repeated to three, bilinear with aligned corners, no CLIP mean and deviation.
    """

    def __init__(self, processor: CLIPImageProcessorPil, geometry: Geometry) -> None:
        side = geometry.image_size
        squash = geometry.resize == "squash"
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

    def _picture(self, image: Image.Image) -> torch.Tensor:
        # One pixel high or wide pictures are ambiguous to the processor's guess of where the channels are.
        return self._processor(image, input_data_format="channels_last", **self._options)["pixel_values"][0]

    def _depth(self, image: Image.Image) -> torch.Tensor:
        depth = torch.from_numpy(np.array(image, dtype=np.float32))[None, None]
        resized = torch.nn.functional.interpolate(depth, (self._side, self._side), mode="bilinear", align_corners=True)
        return resized[0].expand(3, -1, -1)
