"""From a composed job to a training that is ready to go, or to the knowledge that it is finished."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch.nn import functional as F
from transformers import CLIPModel

from benchmarks.run.job import Job
from benchmarks.run.text import RunTexts
from benchmarks.train.pictures import TrainingPictures
from benchmarks.train.recipe import Recipe
from benchmarks.train.tuning import Tuning
from falip.backbone import Backbone
from falip.errors import UserError
from falip.prompts import Plain
from falip.weights import TRAINING, cached_folder, layout_of


def begun(job: Job, recipe: Recipe, out: Path) -> tuple[Tuning | None, Path, dict[str, Any]]:
    """The training of a job's backbone on its task.

    Args:
        job: With one backbone, a CLIP ViT in the layout of transformers; its prompt is of no account.
        recipe: How to train.
        out: The folder to be.

    Returns:
        The training, from its checkpoint where there is one, or None if `out` holds it finished; the folder of the backbone
        that it starts from; and the record that it is known by.

    Raises:
        UserError: If the backbone or the task cannot be trained on, or `out` holds something else.
    """
    if len(job.settings) != 1:
        raise UserError("Fine-tuning takes one backbone, and this one is a sum of several.")
    backbone = job.backbones[0]
    start = _trainable(backbone)
    dataset = job.task.dataset
    pictures = TrainingPictures(dataset, backbone.preprocess)
    classes = [name.replace("_", " ") for name in dataset.class_names]
    data = {
        "task": job.task.name, "split": job.task.split, "dataset": dataset.identity,
        "pictures": len(pictures), "classes": len(classes), "template": job.protocol.template,
    }  # fmt: skip
    device = next(backbone.model.parameters()).device
    record = {
        "version": 1, "start": {"name": backbone.weights.name, "weights": backbone.weights.identity}, "data": data,
        "recipe": asdict(recipe), "arithmetic": "bfloat16 autocast" if device.type == "cuda" else "float32",
    }  # fmt: skip
    record = json.loads(json.dumps(record, default=str))
    if _finished(out, record):
        return None, start, record
    features, _ = RunTexts(job.protocol, Plain(), []).embed(backbone, classes)
    texts = F.normalize(features.float(), dim=-1).detach().to(device)
    # A copy: a process loads a backbone once, and evaluates it too.
    model = deepcopy(backbone.model).float().eval().requires_grad_(True)
    return Tuning(model, texts, pictures, recipe, out, record), start, record


def _trainable(backbone: Backbone) -> Path:
    """The folder of a backbone, which must be a plain CLIP ViT of transformers."""
    weights = backbone.weights
    folder = cached_folder(weights)
    plain = isinstance(backbone.model, CLIPModel) and not weights.alpha and not backbone.precision
    if folder is None or not plain or layout_of(folder) != "clip":
        raise UserError(
            f"{weights.name} cannot be fine-tuned: that takes a CLIP ViT in the layout of transformers, without "
            "alpha_weights and precision, such as backbone=vit_b16 or backbone=tiny."
        )
    if "image_size" in backbone.identity:
        raise UserError("Fine-tuning keeps the input size of the backbone: leave backbone.image_size out.")
    return folder


def _finished(out: Path, record: dict[str, Any]) -> bool:
    path = out / TRAINING
    if not path.is_file():
        if (out / "config.json").is_file() and not (out / "checkpoint.pt").is_file():
            raise UserError(f"--out {out} holds a model already. Choose another folder.")
        return False
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}). Choose another --out.") from None
    if found != record:
        raise UserError(f"--out {out} holds another training, see {path}. Choose another folder.")
    return True
