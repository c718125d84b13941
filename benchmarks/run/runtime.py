"""How a run is carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from falip.errors import UserError
from falip.views import Sharing


@dataclass(frozen=True)
class Runtime:
    """How a run is carried out; none of it moves a decision.

    Attributes:
        device: A torch device.
        batch_views: Most views in one forward pass, halved by itself when memory runs out; None: what `memory_gb` holds.
        memory_gb: Memory for one forward pass, weights aside; None: half of what the GPU has free, or 1 GB on a CPU.
        compile: Whether torch.compile fuses the layers; it moves floats by rounding.
        workers: Threads that decode, draw and preprocess ahead of the model.
        shard: "i/n": this process takes samples i, i + n, i + 2n, ... of the run.
        sharing: "exact" or "none"; see `Backbone.encode_views`.
        overwrite: only-missing continues what is there; always starts again; never leaves alone what is there, whole or
            not; only-cache computes nothing and fails where the run is not complete.
        on_error: fail ends the run at the first bad sample; record counts it as unscored and goes on.
        progress: Whether to show a bar (on a terminal only).
        dry_run: Only say what would be run.
    """

    device: str = "cpu"
    batch_views: int | None = None
    memory_gb: float | None = None
    compile: bool = False
    workers: int = 2
    shard: str = "0/1"
    sharing: str = "exact"
    overwrite: str = "only-missing"
    on_error: str = "fail"
    progress: bool = True
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Rejects values that no run understands."""
        choices = {
            "sharing": [name for name in get_args(Sharing) if name != "frozen"],
            "overwrite": ["only-missing", "always", "never", "only-cache"],
            "on_error": ["fail", "record"],
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise UserError(f"runtime.{name}={getattr(self, name)}: choose from {', '.join(allowed)}.")
        if self.batch_views is not None and self.batch_views < 1:
            raise UserError(f"runtime.batch_views={self.batch_views}: at least one view must fit.")
        if self.memory_gb is not None and self.memory_gb <= 0:
            raise UserError(f"runtime.memory_gb={self.memory_gb}: give a number of gigabytes above 0, or null.")
        if self.workers < 0:
            raise UserError(f"runtime.workers={self.workers}: give a number of threads; 0 works in the main one.")
        _ = self.part

    @property
    def part(self) -> tuple[int, int]:
        """The shard as numbers (index, count)."""
        try:
            index, count = (int(number) for number in self.shard.split("/"))
        except ValueError as error:
            raise UserError(f"runtime.shard={self.shard}: give i/n, for instance 0/4 for the first of four.") from error
        if not 0 <= index < count:
            raise UserError(f"runtime.shard={self.shard}: i counts from 0 and must be below n.")
        return index, count
