"""AdamW and its rate: decay on matrices only, warm-up, then a fall to 0.

Source: Loshchilov & Hutter 2019, arXiv 1711.05101.
"""

import math
from collections.abc import Callable, Mapping

import torch

from training.config import Options

FALLS: Mapping[str, Callable[[float], float]] = {
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "constant": lambda _: 1.0,
}
"""The share of the rate that is left, by the share of the steps after the warm-up that is done."""


def make_optimiser(model: torch.nn.Module, options: Options) -> torch.optim.AdamW:
    """AdamW over the weights that learn; vectors (biases, norms) are not decayed."""
    weights = [each for each in model.parameters() if each.requires_grad]
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=0.0)


def rate(step: int, total: int, options: Options) -> float:
    """The learning rate of the step that follows *step* steps of *total*."""
    if step < options.warmup_steps:
        return options.learning_rate * (step + 1) / options.warmup_steps
    done = (step - options.warmup_steps) / max(1, total - options.warmup_steps)
    return options.learning_rate * FALLS[options.schedule](min(done, 1.0))


def set_rate(optimiser: torch.optim.Optimizer, value: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = value
