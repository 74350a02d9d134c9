"""Everything at work in a training run, and how it is set up."""

import math
from collections.abc import Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path

import torch

from qrels.errors import DataError, UsageError
from training import checkpoint as files
from training.config import Options, Say
from training.distributed import same_weights, world
from training.optimiser import make_optimiser
from training.precision import chosen_device, chosen_precision, scaler
from training.task import Task

CHECKPOINTS, MODEL = "checkpoints", "model"
"""The folders of a run's checkpoints and of the trained model."""


@dataclass
class Progress:
    """How far training is; a checkpoint holds it as JSON.

    batch: how many batches of the epoch are done; history: step and value of each measuring;
    misses: measurings since the best; tests: what `Task.test` gave, before and after.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_step: int = 0
    misses: int = 0
    history: list[tuple[int, float]] = field(default_factory=list)
    tests: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass
class Work:
    """Everything at work: the task and its options, the optimiser, how far it is."""

    task: Task
    options: Options
    device: torch.device
    precision: str
    optimiser: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    lengths: list[int]  # steps of each epoch; where others went before, all of those first
    say: Say
    progress: Progress = field(default_factory=Progress)
    random: str = ""  # the generators as the last finished step left them
    whole: bool = True  # no step is half applied
    saved: int = -1  # the step of the last checkpoint
    last: bool = False  # the step under way is the last of its epoch

    @property
    def folder(self) -> Path:
        return Path(self.options.out)

    @property
    def total(self) -> int:
        most = sum(self.lengths)
        return min(self.options.max_steps or most, most)


def prepared(task: Task, options: Options, say: Say) -> Work:
    """Seeds, device, precision, optimiser; the model on its device. Processes differ by seed."""
    device = chosen_device(options.device)
    precision = chosen_precision(options.precision, device)
    files.set_seeds(options.seed + world().rank)
    same_weights(task.model.to(device).train())
    if options.dropout >= 0:
        set_dropout(task.model, options.dropout)
    if options.checkpointing:
        checkpoint_activations(task.model)
    work = Work(
        task,
        options,
        device,
        precision,
        make_optimiser(task.model, options),
        scaler(precision, device),
        epoch_lengths(task, options),
        say,
    )
    if work.total == 0:
        raise DataError(f"{task.name}: there is nothing to train on")
    work.random = files.random_state(device)
    say(f"{task.name}: {work.total} steps on {device}, {precision}, processes: {world().size}")
    return work


def epoch_lengths(task: Task, options: Options, epoch: int = 0, step: int = 0) -> list[int]:
    """How many steps each epoch from *epoch* on has, as far as they can be needed after *step*."""
    found: list[int] = []
    for number in range(epoch, options.num_epochs):
        found.append(math.ceil(len(usable(task.batches(number))) / options.accumulate))
        if 0 < options.max_steps <= step + sum(found):
            break
    return found


def usable(batches: Sequence[Sized]) -> list[Sized]:
    """The batches with a row for each process at least."""
    if any(len(batch) == 0 for batch in batches):
        raise DataError(f"batch {[len(batch) for batch in batches].index(0)} is empty")
    return [batch for batch in batches if len(batch) >= world().size]


def set_dropout(model: torch.nn.Module, share: float) -> None:
    """Let every layer of *model* that drops out drop this share."""
    if share >= 1:
        raise UsageError(f"dropout = {share}; expected less than 1")
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = share
        for name, value in list(vars(part).items()):
            if name.endswith("dropout") and isinstance(value, float):
                setattr(part, name, share)  # T5's attention holds a number


def checkpoint_activations(model: torch.nn.Module) -> None:
    """Let every transformer in *model* compute its activations again in the backward pass."""
    from transformers import PreTrainedModel

    parts = [part for part in model.modules() if isinstance(part, PreTrainedModel)]
    able = [part for part in parts if part.supports_gradient_checkpointing]  # DPR's BERT, not DPR
    if not able:
        raise UsageError("checkpointing=true: this model has no part that can do so")
    for part in able:
        names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
        enable = next(getattr(part, name) for name in names if hasattr(part, name))
        enable({"use_reentrant": False})
