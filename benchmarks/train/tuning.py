"""The loop: seeded, logged, and resumed from its checkpoint to the weights that it would have had."""

from __future__ import annotations

import csv
import io
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from benchmarks.records.folder import write_atomically
from benchmarks.train.average import beta_average
from benchmarks.train.branches import see
from benchmarks.train.losses import attention_loss, margin_logits, similarity_loss, smooth_labels, soft_cross_entropy
from benchmarks.train.pictures import TrainingPictures, chosen
from benchmarks.train.recipe import Recipe
from falip.errors import UserError

CHECKPOINT = "checkpoint.pt"


@dataclass
class Tuning:
    """One fine-tuning under way: the vision tower and its projection learn, texts and temperature are frozen.

    Attributes:
        model: A transformers CLIPModel in float32 on its device, changed in place; it stays in evaluation mode.
        texts: (classes, width) text features of unit length, on the same device.
        pictures: What is learnt from.
        recipe: How.
        folder: Where the checkpoint lies.
        named: What the training is known by; a checkpoint of another one is refused.
    """

    model: Any
    texts: Tensor
    pictures: TrainingPictures
    recipe: Recipe
    folder: Path
    named: dict[str, Any]
    step: int = 0
    log: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Makes optimizer and average, and goes on from a checkpoint if there is one."""
        self.tower = nn.ModuleDict(
            {"vision_model": self.model.vision_model, "visual_projection": self.model.visual_projection}
        )
        self.scale = float(self.model.logit_scale.detach().exp())
        self.optimizer = torch.optim.AdamW(
            self.tower.parameters(), lr=self.recipe.learning_rate, weight_decay=self.recipe.weight_decay
        )
        beta = self.recipe.beta
        self.average: AveragedModel | None = beta_average(self.tower, self.recipe.steps, beta) if beta else None
        if (self.folder / CHECKPOINT).is_file():
            self._restore()

    def run(self, until: int | None = None, every: int = 500, said: Callable[[dict[str, float]], object] = print) -> bool:
        """Trains to the end, or to a step, and leaves a checkpoint.

        Args:
            until: Where to stop; None for the recipe's steps.
            every: Steps between checkpoints.
            said: Gets each row of the log.

        Returns:
            Whether the end is reached; the model then has its final weights.
        """
        last = min(until or self.recipe.steps, self.recipe.steps)
        while self.step < last:
            row = self._update()
            self.log.append(row)
            self.step += 1
            if self.step % every == 0 or self.step == last:
                self._save()
                said(row)
        if self.step == self.recipe.steps and self.average:
            self.tower.load_state_dict(self.average.module.state_dict())
        return self.step == self.recipe.steps

    def _update(self) -> dict[str, float]:
        rate = self.recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * self.step / self.recipe.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        device = self.texts.device
        pixels, labels = self.pictures.batch(chosen(self.step, self.recipe.batch, len(self.pictures), self.recipe.seed))
        terms = self._terms(pixels.to(device), labels.to(device))
        total = torch.stack([weight * loss for weight, loss in terms.values()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        if self.average:
            self.average.update_parameters(self.tower)
        losses = {name: round(float(loss.detach()), 6) for name, (_, loss) in terms.items()}
        return {"step": self.step + 1, "learning_rate": rate, "loss": round(float(total.detach()), 6), **losses}

    def _terms(self, pixels: Tensor, labels: Tensor) -> dict[str, tuple[float, Tensor]]:
        """The weight and the value of each loss that is on."""
        recipe = self.recipe
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=pixels.device.type == "cuda"):
            seen = see(self.tower, pixels, recipe.branches)
        logits = margin_logits(seen.features, self.texts, labels, self.scale, recipe.margin)
        terms = {"cross_entropy": (1 - recipe.smoothing, F.cross_entropy(logits, labels))}
        if recipe.smoothing:
            terms["smoothed"] = (recipe.smoothing, soft_cross_entropy(logits, smooth_labels(self.texts, labels)))
        if seen.patches is None or seen.diagonal is None or seen.attention is None:
            return terms
        if recipe.attention:
            terms["attention"] = (recipe.attention, attention_loss(seen.attention, seen.diagonal, self.texts, labels))
        if recipe.similarity:
            form = recipe.similarity_form
            loss = similarity_loss(seen.patches, seen.diagonal, self.texts, labels, form)
            terms["similarity"] = (recipe.similarity, loss)
        return terms

    def table(self) -> str:
        """The log as CSV."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.log[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.log)
        return text.getvalue()

    def _name(self) -> str:
        return json.dumps({"recipe": asdict(self.recipe), **self.named}, sort_keys=True)

    def _save(self) -> None:
        state = {
            "name": self._name(),
            "step": self.step,
            "log": self.log,
            "tower": self.tower.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average and self.average.state_dict(),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / CHECKPOINT, lambda path: torch.save(state, path))

    def _restore(self) -> None:
        path = self.folder / CHECKPOINT
        try:
            state = torch.load(path, map_location=self.texts.device, weights_only=True)
            name = state["name"]
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
            raise UserError(f"{path} is no checkpoint that can be read ({error}). Delete it to begin again.") from None
        if name != self._name():
            raise UserError(
                f"{path} is of another training: other data, settings or starting weights. Choose another --out, or delete "
                "that folder to begin again."
            )
        self.step, self.log = state["step"], state["log"]
        self.tower.load_state_dict(state["tower"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average:
            self.average.load_state_dict(state["average"])
