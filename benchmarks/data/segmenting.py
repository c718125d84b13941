"""Masks of candidate boxes by SAM (Segment Anything) through transformers, written so that a cut-off run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as run_length

from benchmarks.data.images import picture_reader, read_image
from falip.errors import UserError, check_choice
from falip.reading import MEGAPIXELS
from falip.regions import Box

CHOICES = ("single", "best")


@dataclass(frozen=True)
class Segmenting:
    """How masks are made; all of it but the pace goes into the header of their file.

    Attributes:
        model: A folder of SAM's weights and processor, or a repository of the hub.
        revision: A commit, branch or tag of the hub; None for its default.
        choice: "single", SAM's one answer for an unambiguous prompt, or "best", that of its three with the highest
            predicted IoU. No source says which of them FGVP and Alpha-CLIP take.
        min_pixels: Holes and islands of fewer pixels are removed (FGVP fgvp-reclip/main.py: 400).
        dtype: Of weights and activations.
        device: Where it runs.
        boxes_at_once: Boxes in one pass of the mask decoder.
    """

    model: str = "facebook/sam-vit-huge"
    revision: str | None = None
    choice: str = "single"
    min_pixels: int = 400
    dtype: str = "float32"
    device: str = "cpu"
    boxes_at_once: int = 32

    def __post_init__(self) -> None:
        """Rejects what is not offered."""
        check_choice("Segmenting", "choice", self.choice, CHOICES)
        check_choice("Segmenting", "dtype", self.dtype, ("float32", "float16", "bfloat16"))
        if self.boxes_at_once < 1 or self.min_pixels < 0:
            raise UserError("The boxes at once must be at least 1 and the pixels of a hole at least 0.")


class Segmenter:
    """SAM, loaded once.

    Raises:
        UserError: If its weights cannot be had.
    """

    def __init__(self, how: Segmenting) -> None:
        import torch
        from transformers import SamModel, SamProcessor

        self.how, self._dtype = how, getattr(torch, how.dtype)
        try:
            revision = how.revision or "main"
            self._processor: Any = SamProcessor.from_pretrained(how.model, revision=revision)
            model: Any = SamModel.from_pretrained(how.model, revision=revision, dtype=self._dtype)
            self._model: Any = model.to(how.device).eval()
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"SAM cannot be loaded from {how.model} ({reason}). Give --model a folder with SAM's config.json, "
                "model.safetensors and preprocessor_config.json, or a repository of the hub such as facebook/sam-vit-huge."
            ) from None

    @property
    def header(self) -> dict[str, Any]:
        """What made the masks: settings, the weights by content, and versions of the libraries."""
        import torch
        import transformers

        settings = {key: value for key, value in asdict(self.how).items() if key not in ("device", "boxes_at_once")}
        commit = getattr(self._model.config, "_commit_hash", None)
        versions = {"transformers": transformers.__version__, "torch": torch.__version__}
        return settings | {"model": _name(self.how.model), "commit": commit, "weights": self._fingerprint()} | versions

    def _fingerprint(self) -> str:
        import hashlib

        import torch

        digest = hashlib.sha256()
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def masks(self, image: Image.Image, boxes: Sequence[Box]) -> list[np.ndarray]:
        """One bool array (height, width) for each box (x0, y0, x1, y1); the picture is encoded once."""
        import torch

        with torch.inference_mode():
            asked = self._processor(image, input_boxes=[[list(box) for box in boxes]], return_tensors="pt")
            pixels = asked["pixel_values"].to(self.how.device, self._dtype)
            prompts = asked["input_boxes"].to(self.how.device, self._dtype)
            encoded = self._model.get_image_embeddings(pixels)
            found: list[np.ndarray] = []
            for chunk in prompts.split(self.how.boxes_at_once, dim=1):
                answer = self._model(
                    image_embeddings=encoded, input_boxes=chunk, multimask_output=self.how.choice == "best"
                )
                sizes = asked["original_sizes"], asked["reshaped_input_sizes"]
                masks = self._processor.post_process_masks(answer.pred_masks.float().cpu(), *sizes)[0]
                best = answer.iou_scores[0].float().argmax(-1).cpu()
                found += [mask[k].numpy() for mask, k in zip(masks, best, strict=True)]
        return [without_specks(mask, self.how.min_pixels) for mask in found]


def without_specks(mask: np.ndarray, pixels: int) -> np.ndarray:
    """The mask with holes filled, and then islands dropped, of fewer pixels; the largest island stays in any case.

    Pieces hang together by corners too, as in SAM's own post-processing.
    """
    from scipy.ndimage import label

    labels, sizes = _pieces(label, ~mask)
    filled = mask | np.isin(labels, np.flatnonzero((sizes > 0) & (sizes < pixels)))
    labels, sizes = _pieces(label, filled)
    kept = np.flatnonzero(sizes >= max(pixels, 1))
    return np.isin(labels, kept if len(kept) or not sizes.any() else [sizes.argmax()])


def _pieces(label: Any, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, count = label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    return labels, sizes


def write_masks(
    path: Path,
    images: Iterable[tuple[str, Path, Sequence[Box]]],
    header: dict[str, Any],
    segment: Callable[[Image.Image, Sequence[Box]], Sequence[np.ndarray]],
    mend: str,
    say: Callable[[str], None],
) -> None:
    """Makes a file of masks (`benchmarks.data.masks.MaskFile`), image by image; a file cut off is gone on with.

    Args:
        path: The file; until it is whole it is FILE.partial.
        images: Image id, picture and boxes; images without boxes are left out.
        header: What made the masks.
        segment: (picture, boxes) to masks.
        mend: The command that fetches the pictures.
        say: Takes messages of progress.

    Raises:
        UserError: If the file was begun or made with another header, or a picture is missing or broken.
    """
    wanted, partial = [image for image in images if image[2]], path.with_name(f"{path.name}.partial")
    begun = [one for one in (partial, path) if one.exists()]
    kept = {line["image_id"]: line for one in begun for line in _kept_lines(one, header)}
    if path.exists() and all(image[0] in kept for image in wanted):
        say(f"{path} is whole; nothing to do")
        return
    done, reader = set(kept), picture_reader(MEGAPIXELS, mend)
    # In one step, so that a kill here loses no mask that is made.
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.begun")
    fresh.write_text("".join(f"{json.dumps(line)}\n" for line in [header, *kept.values()]))
    fresh.replace(partial)
    with partial.open("a") as file:
        for number, (image_id, picture, boxes) in enumerate(wanted, start=1):
            if image_id in done:
                continue
            masks = segment(read_image(picture, reader, mend), boxes)
            file.write(f"{json.dumps(_line(image_id, boxes, masks))}\n")
            file.flush()
            say(f"{number}/{len(wanted)} images")
    partial.replace(path)


def _line(image_id: str, boxes: Sequence[Box], masks: Sequence[np.ndarray]) -> dict[str, Any]:
    corners = [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in boxes]
    encoded: list[Any] = [run_length.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
    lengths = [{"size": [int(n) for n in one["size"]], "counts": one["counts"].decode()} for one in encoded]
    return {"image_id": image_id, "boxes": corners, "masks": lengths}


def _kept_lines(path: Path, header: dict[str, Any]) -> list[dict[str, Any]]:
    """The whole lines of a file after its header; the last may be cut off."""
    lines = []
    for text in path.read_text(errors="replace").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    if lines and lines[0] != json.loads(json.dumps(header)):
        raise UserError(
            f"{path} was begun with another model, other settings or other boxes. Move it away, or give another --out."
        )
    return lines[1:]


def _name(model: str) -> str:
    """The hub's name, or a folder's own without its place."""
    return Path(model).name if Path(model).is_dir() else model
