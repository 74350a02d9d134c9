"""Several processes as one: each takes its share of a batch, and they add up what they found.

`torchrun` starts the processes and says in the environment which is which; without it there is
one. A step's loss is the sum over all processes divided by what was counted over all, so that it
does not depend on how many processes there are.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")

PATIENCE = timedelta(hours=6)
"""How long processes wait for one another: the first measures alone."""


@dataclass(frozen=True)
class World:
    """This process among all: rank of size; local: its number on its machine."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        return self.rank == 0


def world() -> World:
    """The processes that were joined; one alone where none were."""
    if not dist.is_initialized():
        return World()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    return World(dist.get_rank(), dist.get_world_size(), local)


@contextmanager
def joined(device: str) -> Iterator[World]:
    """Join the processes that torchrun started, and part from them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield world()
        return
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=PATIENCE)
    try:
        yield world()
    finally:
        dist.destroy_process_group()


def share(items: Sequence[T]) -> list[T]:
    """This process's consecutive part of *items*; parts differ by one in length at most."""
    start, end = _bounds(len(items))
    return list(items[start:end])


def offset(length: int) -> int:
    """Where this process's share of so many items begins."""
    return _bounds(length)[0]


def _bounds(length: int) -> tuple[int, int]:
    here = world()
    return here.rank * length // here.size, (here.rank + 1) * length // here.size


def gathered(rows: Tensor) -> Tensor:
    """The rows of all processes under one another; gradients flow back to whoever made them.

    rows: (n, dimension), n at least 1 and perhaps another in each process.
    """
    if world().size == 1:
        return rows
    found: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]  # torch's own
    return found


class _Gather(torch.autograd.Function):
    """All rows; backward: the gradients of own rows, summed over the losses of all processes."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:  # torch's own context
        parts = padded_gather(rows)
        ctx.start = sum(len(part) for part in parts[: world().rank])
        ctx.length = len(rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[ctx.start : ctx.start + ctx.length]


def padded_gather(rows: Tensor) -> list[Tensor]:
    """The rows of each process, as many as it has; without gradients."""
    sizes = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(world().size)]
    dist.all_gather(sizes, torch.tensor([len(rows)], device=rows.device))
    longest = int(max(int(size) for size in sizes))
    padded = rows.new_zeros((longest, *rows.shape[1:]))
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return [part[: int(size)] for part, size in zip(parts, sizes, strict=True)]


def same_weights(model: torch.nn.Module) -> None:
    """Every process takes the weights that the first has."""
    if world().size > 1:
        for value in model.state_dict().values():
            dist.broadcast(value, 0)


def add_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Each gradient becomes its sum over all processes; those that are None are None in all."""
    if world().size == 1:
        return
    gradients = [each.grad for each in parameters if each.grad is not None]
    for work in [dist.all_reduce(gradient, async_op=True) for gradient in gradients]:
        assert work is not None  # async_op gives a handle
        work.wait()


def summed(values: Sequence[float], device: torch.device) -> list[float]:
    """Each number summed over all processes, in float64."""
    if world().size == 1:
        return list(values)
    found = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(found)
    return [float(value) for value in found.tolist()]


def of_first(value: float, device: torch.device) -> float:
    """The number that the first process has."""
    return summed([value if world().first else 0.0], device)[0]


def texts_of_all(text: str, device: torch.device) -> list[str]:
    """A text of each process."""
    if world().size == 1:
        return [text]
    rows = torch.tensor(list(text.encode()), dtype=torch.uint8, device=device)
    return [bytes(part.tolist()).decode() for part in padded_gather(rows)]


def wait() -> None:
    """Until all processes are here."""
    if world().size > 1:
        dist.barrier()
