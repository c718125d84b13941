"""CLIPood's average of the weights along the way, which counts the beginning and the end the most."""

from __future__ import annotations

from collections.abc import Callable

from scipy.stats import beta as beta_distribution
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def beta_weight(step: int, steps: int, beta: float) -> float:
    """How much the weights after `step` of `steps` steps count: Beta(beta, beta) at (step + 0.5) / (steps + 1)."""
    return float(beta_distribution.pdf((step + 0.5) / (steps + 1), beta, beta))


def beta_average(model: nn.Module, steps: int, beta: float) -> AveragedModel:
    """The Beta moving average (Shu et al., ICML 2023, equations 7 and 8), which has seen the first weights.

    Args:
        model: Before its first step.
        steps: The number of steps to come; `update_parameters` is called after each.
        beta: 0.5 in CLIPood.
    """
    weights = [beta_weight(step, steps, beta) for step in range(steps + 1)]
    average = AveragedModel(model, avg_fn=_moved(weights))
    average.update_parameters(model)
    return average


def _moved(weights: list[float]) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    sums = [sum(weights[: i + 1]) for i in range(len(weights))]

    def moved(average: Tensor, new: Tensor, seen: Tensor | int) -> Tensor:
        return average + (new - average) * (weights[int(seen)] / sums[int(seen)])

    return moved
