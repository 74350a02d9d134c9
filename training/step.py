"""One step: gradients of some batches, added up over processes, divided, clipped, applied."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from qrels.errors import DataError, UsageError
from training import checkpoint as files
from training.distributed import add_gradients, summed
from training.optimiser import rate, set_rate
from training.precision import autocast
from training.work import CHECKPOINTS, Work

LEAST_SCALE = 1.0
"""fp16: gradients that overflow at a smaller scale are not too large but no numbers at all."""


class Done(NamedTuple):
    """A finished step: loss and parts per row or token, over all batches and processes."""

    epoch: int
    loss: float
    parts: Mapping[str, float]
    tokens: int
    norm: float
    rate: float
    seconds: float


def update(work: Work, batches: Sequence[Any]) -> Done:
    """One step: the gradient of the loss over all *batches* of all processes, applied."""
    start, epoch = time.perf_counter(), work.progress.epoch
    work.optimiser.zero_grad()
    sums = {"loss": 0.0, "count": 0.0, "tokens": 0.0}
    for rows in batches:
        for name, value in backward(work, rows).items():
            sums[name] = sums.get(name, 0.0) + value
    sums = dict(zip(sums, summed(list(sums.values()), work.device), strict=True))
    check_loss(work, sums)
    count, tokens = sums.pop("count"), int(sums.pop("tokens"))
    norm = gradient(work, count)
    value = rate(work.progress.step, work.total, work.options)
    set_rate(work.optimiser, value)
    work.whole = False
    work.scaler.step(work.optimiser)
    work.scaler.update()
    seconds = time.perf_counter() - start
    advance(work, len(batches), tokens, seconds)
    work.whole = True
    means = {name: value / count for name, value in sums.items()}
    return Done(epoch, means.pop("loss"), means, tokens, norm, value, seconds)


def backward(work: Work, rows: Any) -> dict[str, float]:  # a collection that `Task.batches` gave
    """Add the gradients of one batch to those that are there; its loss, count, tokens, parts."""
    batch = work.task.collate(rows)
    with autocast(work.precision, work.device):
        loss = work.task.loss(moved(batch.inputs, work.device))
    work.scaler.scale(loss.total).backward()  # type: ignore[no-untyped-call]  # torch's own
    parts = {name: float(value) for name, value in loss.parts.items()}
    found = {"loss": float(loss.total.detach()), "count": loss.count, "tokens": batch.tokens}
    return {**found, **parts}


def moved(inputs: Any, device: torch.device) -> Any:  # tensors, in lists, tuples, dictionaries
    """The same with every tensor on *device*."""
    if isinstance(inputs, torch.Tensor):
        return inputs.to(device, non_blocking=True)
    if isinstance(inputs, Mapping):
        return {name: moved(value, device) for name, value in inputs.items()}
    if isinstance(inputs, tuple) and hasattr(inputs, "_fields"):
        return type(inputs)(*(moved(value, device) for value in inputs))
    if isinstance(inputs, list | tuple):
        return type(inputs)(moved(value, device) for value in inputs)
    return inputs


def check_loss(work: Work, sums: Mapping[str, float]) -> None:
    """One line where a loss is no number, or over nothing; no weight has changed by then."""
    place = f"step {work.progress.step + 1} (epoch {work.progress.epoch + 1})"
    if sums["count"] <= 0:
        raise DataError(f"{place}: a batch holds nothing to learn from")
    if not math.isfinite(sums["loss"]):
        raise UsageError(
            f"{place}: the loss is {sums['loss']}; lower learning_rate or clip, or take "
            f"precision=float32; what was reached stays in {work.folder / CHECKPOINTS}"
        )


def gradient(work: Work, count: float) -> float:
    """Add gradients up over processes, divide them by *count*, clip them; the length before."""
    weights = [each for each in work.task.model.parameters() if each.grad is not None]
    add_gradients(weights)
    work.scaler.unscale_(work.optimiser)
    for each in weights:
        assert each.grad is not None
        each.grad.div_(count)
    norm = float(torch.nn.utils.clip_grad_norm_(weights, work.options.clip or math.inf))
    lost = work.scaler.is_enabled() and work.scaler.get_scale() < LEAST_SCALE
    if not math.isfinite(norm) and (lost or not work.scaler.is_enabled()):
        raise UsageError(
            f"step {work.progress.step + 1}: the gradient is {norm}; lower learning_rate; what "
            f"was reached stays in {work.folder / CHECKPOINTS}"
        )
    return norm


def advance(work: Work, batches: int, tokens: int, seconds: float) -> None:
    done = work.progress
    done.step += 1
    done.epoch, done.batch = (
        (done.epoch + 1, 0) if work.last else (done.epoch, done.batch + batches)
    )
    done.tokens += tokens
    done.seconds += seconds
    work.random = files.random_state(work.device)
