"""Checkpoints of a run: what is taken from the last one, and written into the next."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from qrels.errors import UsageError
from training import checkpoint as files
from training.config import HARMLESS, as_table
from training.distributed import of_first, texts_of_all, wait, world
from training.work import CHECKPOINTS, Progress, Work, epoch_lengths


def resume(work: Work) -> None:
    """Take everything from the last checkpoint, where there is one and it is wanted."""
    folder = work.folder / CHECKPOINTS
    if work.options.resume == "never" and world().first:
        files.keep_only(folder, set())
    wait()
    found = files.checkpoints(folder)
    check_shared(len(found), work)
    if not found:
        return
    state = files.read_state(found[-1])
    same = check_same(work, state, found[-1])
    files.load_weights(work.task.model, found[-1])
    files.load_optimiser(work.optimiser, found[-1])
    if state["scaler"] and work.scaler.is_enabled():
        work.scaler.load_state_dict(state["scaler"])
    work.progress = Progress(**state["progress"])
    work.saved = work.progress.step
    if not same:
        done = work.progress
        done.batch = 0  # batches may be others: the epoch begins again
        left = epoch_lengths(work.task, work.options, done.epoch, done.step)
        work.lengths = [done.step, *left]
    if world().rank < len(state["random"]):
        work.random = state["random"][world().rank]
        files.set_random_state(work.random, work.device)
    work.say(f"going on from {found[-1].name}")


def check_shared(count: int, work: Work) -> None:
    """UsageError where this process sees other checkpoints than the first one does."""
    if of_first(count, work.device) != count:
        raise UsageError(
            f"{work.folder}: process {world().rank} sees {count} checkpoints, the first one does "
            "not; give an --out that all machines share"
        )


def identity(work: Work) -> dict[str, Any]:  # JSON values
    """What must be the same where training goes on."""
    options = {key: v for key, v in as_table(work.options).items() if key not in HARMLESS}
    return {
        **options,
        "precision": work.precision,
        "processes": world().size,
        "data": work.task.data_digest,
    }


def check_same(work: Work, state: Mapping[str, Any], path: Path) -> bool:
    """Whether a checkpoint is of these very options; UsageError where it has to be and is not."""
    before, now = state["identity"], identity(work)
    keys = [key for key in now if before.get(key) != now[key]]
    if keys and work.options.resume != "changed":
        raise UsageError(
            f"{path}: made with {keys[0]} = {before.get(keys[0])!r}, now {now[keys[0]]!r}; "
            "--resume changed goes on all the same, --resume never begins anew"
        )
    return not keys


def save(work: Work) -> None:
    """Write a checkpoint; of the earlier ones the last and the best stay."""
    done, folder = work.progress, work.folder / CHECKPOINTS
    every = texts_of_all(work.random, work.device)
    if world().first:
        state = {
            "identity": identity(work),
            "progress": asdict(done),
            "scaler": work.scaler.state_dict(),
            "random": every,
        }
        files.write_checkpoint(folder, done.step, work.task.model, work.optimiser, state)
        files.keep_only(folder, {done.step, work.saved, done.best_step})
    work.saved = done.step
    wait()


@contextlib.contextmanager
def kept_on_failure(work: Work) -> Iterator[None]:
    """Whatever stops training, the finished steps are kept; running out of memory is a UsageError.

    Several processes do not stop at one place: they keep the last checkpoint.
    """
    try:
        yield
    except BaseException as error:
        done = work.progress
        if work.whole and world().size == 1 and done.step > work.saved:
            save(work)
        if is_out_of_memory(error):
            raise UsageError(
                f"out of memory in step {done.step + 1}; {kept(work)}; lower batch_size or "
                "batch_tokens (with a larger accumulate), or set checkpointing=true, "
                "and --resume changed"
            ) from error
        raise


def is_out_of_memory(error: BaseException) -> bool:
    """Whether *error* is what torch, or Python, raises where memory cannot be had."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or "can't allocate memory" in str(error)


def kept(work: Work) -> str:
    """Where what was reached is, in words."""
    if work.saved < 0:
        return "no step was finished"
    return f"step {work.saved} is kept in {work.folder / CHECKPOINTS}"
