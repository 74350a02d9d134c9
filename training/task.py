"""What a recipe gives to the loop: a model, batches, a loss, and how to measure and save."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


class Batch(NamedTuple):
    """What a loss takes: inputs hold tensors, perhaps nested; tokens: how many, with padding."""

    inputs: Any  # the recipe's own
    tokens: int


@dataclass(frozen=True)
class Loss:
    """A sum and what it is the sum of, so that batches and processes can be added up.

    total: scalar, with gradients; count: how many rows or tokens it is over; parts: further sums
    over the same, for the log.
    """

    total: "Tensor"
    count: float
    parts: "Mapping[str, Tensor]" = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A recipe at work.

    model: all that learns, and all that a checkpoint must hold (buffers for anything else).
    batches(epoch): the batches of all processes together, as collections of rows, the same for
    the same epoch. collate(rows): this process's share of one (`distributed.share`). before_step
    is called with the number of finished steps. measure: a harness measure, higher is better;
    notes: rows for the log about what was measured last; test: more measures, taken before the
    first step and of the best model. save(folder): the model in files that load back by path;
    card: what its model card says beside the results.
    """

    name: str
    model: "Module"
    batches: Callable[[int], Sequence[Sized]]
    collate: Callable[[Any], Batch]  # a collection that `batches` gave
    loss: Callable[[Any], Loss]  # the inputs of a batch, on the device
    save: Callable[[Path], None]
    data_digest: str
    measure_name: str = ""
    measure: Callable[[], float] | None = None
    notes: Callable[[], Iterable[Mapping[str, Any]]] | None = None  # JSON values
    test: Callable[[], Mapping[str, float]] | None = None
    before_step: Callable[[int], None] | None = None
    card: Mapping[str, str] = field(default_factory=dict)
