"""The harness from Python: evaluate, and finished runs as data frames. `falip.evaluate` and its like are these."""

from benchmarks.notebook.compare import PairedRuns, compare
from benchmarks.notebook.evaluate import evaluate
from benchmarks.notebook.frames import records, runs

__all__ = ["PairedRuns", "compare", "evaluate", "records", "runs"]
