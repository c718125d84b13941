"""Contrastive training of the embedded CLIP on the pool of drawn pictures."""

import csv
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import CLIPModel, PreTrainedTokenizerFast
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from benchmarks.embedded.captions import caption
from benchmarks.embedded.model import make_tokenizer, save_model
from benchmarks.embedded.pictures import KINDS, Pool
from benchmarks.embedded.solids import DEPTH_SCALE

_LOGIT_SCALE_MAX = math.log(100)
_FIELDS = ("step", "minutes", "batch", "learning_rate", "loss", "image_to_text", "logit_scale")


@dataclass(frozen=True)
class Schedule:
    """How long and how to train.

    The learning rate follows the clock, not the step count: a linear warm-up over `warmup_steps`, then a cosine
    to nothing at `minutes`. So training ends when it was told to, on a busy machine as on an idle one.
    """

    minutes: float = 35
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    # Share of the time, at the start, that is spent on pictures of one thing, in small batches. Among several objects
    # a caption that names a shape alone fits a quarter of the other pictures too, and shape would be learnt late.
    single_share: float = 0.25
    single_batch: int = 64
    batch: int = 160
    # Share of captions that name all objects, where a picture singles none out.
    name_all: float = 0.5
    checkpoint_minutes: float = 4
    log_every: int = 20


def train(model: CLIPModel, pool: Pool, out: Path, schedule: Schedule, seed: int, device: str) -> None:
    """Trains `model` in place, and keeps checkpoints and `training_log.csv` under `out`.

    Args:
        model: The model, changed in place.
        pool: Training pictures.
        out: Folder that receives the model at every checkpoint and at the end.
        schedule: Time and rates.
        seed: Seed of the order of the pictures and of the captions.
        device: A torch device.
    """
    torch.nn.Module.to(model, device).train()
    # On a CPU the backward pass of the fused attention costs as much as all the rest, and a compiled encoder saves 40 %.
    # Compiled in place, so that the names of the weights stay.
    model.set_attn_implementation("eager")
    model.vision_model.encoder.compile(dynamic=False)
    optimizer = _optimizer(model, schedule)
    tokenizer = make_tokenizer()
    batches = Batches(pool, seed, tokenizer, schedule.name_all)
    start = time.monotonic()
    saved = -math.inf  # the first step is saved at once: a folder that cannot be written shows now
    running: list[tuple[float, float]] = []
    out.mkdir(parents=True, exist_ok=True)
    with (out / "training_log.csv").open("w", newline="") as file:
        log = csv.DictWriter(file, _FIELDS)
        log.writeheader()
        step = 0
        while (progress := (time.monotonic() - start) / 60 / schedule.minutes) < 1:
            single = progress < schedule.single_share
            size = schedule.single_batch if single else schedule.batch
            rate = schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1, (step + 1) / schedule.warmup_steps)
            running.append(_step(model, optimizer, batches.next(size, single), device))
            step += 1
            if step % schedule.log_every == 0:
                loss, hits = np.mean(running, axis=0)
                minutes = (time.monotonic() - start) / 60
                scale = float(model.logit_scale.detach().exp())
                values = (step, f"{minutes:.2f}", size, f"{rate:.2e}", f"{loss:.4f}", f"{hits:.4f}", f"{scale:.2f}")
                log.writerow(dict(zip(_FIELDS, values, strict=True)))
                file.flush()
                running.clear()
            if time.monotonic() - saved > 60 * schedule.checkpoint_minutes:
                save_model(model, out)
                saved = time.monotonic()
    save_model(model, out)


def _optimizer(model: CLIPModel, schedule: Schedule) -> torch.optim.Optimizer:
    """AdamW that decays matrices only."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": schedule.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.98))


@dataclass(frozen=True)
class Batch:
    """Pixels (B, 3, S, S) float32, token ids and attention (B, T), and which pairs belong together (B, B)."""

    pixels: torch.Tensor
    tokens: torch.Tensor
    attention: torch.Tensor
    positives: torch.Tensor


class Batches:
    """Endless batches: every picture once in each epoch, in a new order, mirrored or not, newly captioned."""

    def __init__(self, pool: Pool, seed: int, tokenizer: PreTrainedTokenizerFast, name_all: float = 0.5) -> None:
        self._pool = pool
        self._name_all = name_all
        self._rng = np.random.default_rng([11, seed])
        self._tokenizer = tokenizer
        close_up = pool.kinds == KINDS.index("close-up")
        alone = (pool.objects[:, 1, 1] < 0) | close_up
        self._every = self._endless(np.arange(len(pool.kinds)))
        self._single = self._endless(np.flatnonzero(alone))

    def _endless(self, indexes: np.ndarray) -> Iterator[int]:
        while True:
            yield from self._rng.permutation(indexes).tolist()

    def next(self, size: int, single: bool) -> Batch:
        """The next `size` pictures; pictures with the same caption are positives of each other's text.

        Args:
            size: Number of pictures.
            single: Whether to take only pictures of one thing.
        """
        pool, source = self._pool, self._single if single else self._every
        chosen = [next(source) for _ in range(size)]
        texts = [
            caption(self._rng, int(pool.kinds[i]), pool.objects[i], int(pool.focus[i]), self._name_all) for i in chosen
        ]
        tokens = self._tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        _, names = np.unique(texts, return_inverse=True)
        identity = torch.from_numpy(names)
        mirrored = self._rng.random(size) < 0.5
        pixels = np.stack([pool.pixels[i][:, ::-1] if m else pool.pixels[i] for i, m in zip(chosen, mirrored, strict=True)])
        depth = torch.from_numpy(pool.kinds[chosen] == KINDS.index("depth"))
        return Batch(
            normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2), depth),
            tokens["input_ids"],
            tokens["attention_mask"],
            identity[:, None] == identity[None],
        )


def normalise(pixels: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    """Bytes (B, 3, S, S) to what the model is fed; where `depth` (B,), raw depths without mean and deviation."""
    mean = torch.tensor(OPENAI_CLIP_MEAN).view(1, 3, 1, 1)
    deviation = torch.tensor(OPENAI_CLIP_STD).view(1, 3, 1, 1)
    shares = pixels.float() / 255
    return torch.where(depth.view(-1, 1, 1, 1), shares * DEPTH_SCALE, (shares - mean) / deviation)


def _step(model: CLIPModel, optimizer: torch.optim.Optimizer, batch: Batch, device: str) -> tuple[float, float]:
    """One update; returns the loss and the share of pictures whose best text is one of their own."""
    with torch.autocast(torch.device(device).type, dtype=torch.bfloat16):
        seen = model.vision_model(pixel_values=batch.pixels.to(device)).pooler_output
        read = model.text_model(input_ids=batch.tokens.to(device), attention_mask=batch.attention.to(device)).pooler_output
        images, texts = model.visual_projection(seen), model.text_projection(read)
    images, texts = F.normalize(images.float(), dim=-1), F.normalize(texts.float(), dim=-1)
    logits = model.logit_scale.exp() * images @ texts.T
    positives = batch.positives.to(device)
    targets = positives / positives.sum(1, keepdim=True)
    loss = (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(max=_LOGIT_SCALE_MAX)
        hits = positives.gather(1, logits.argmax(1, keepdim=True)).float().mean()
    return float(loss.detach()), float(hits)
