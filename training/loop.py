"""The loop that all recipes share. `train` tells the story; the rest follows in its order.

seeds, device, optimiser, or all of it from the last checkpoint          work.py, resuming.py
for each step
    some batches: forward, backward; gradients added up over batches and processes
    divided by what the loss is over, clipped, applied                    step.py
    a line in the log
    now and then: measure, write a checkpoint; stop where it gets no better
the best weights, saved as a model with its card
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch

from bench.output import drafted
from training import checkpoint as files
from training.card import write_card
from training.config import Options, Say, as_table
from training.distributed import joined, of_first, wait, world
from training.log import Log, memory_bytes, plot, progress_line
from training.resuming import kept_on_failure, resume, save
from training.step import Done, update
from training.task import Task
from training.tracking import Tracker, tracking
from training.work import CHECKPOINTS, MODEL, Progress, Work, prepared, usable


@contextlib.contextmanager
def begun(options: Options, say: Say) -> Iterator[Say]:
    """Around all of a recipe: the processes joined, the same seed in all, one that speaks."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it takes and gives nothing
    wants = "cuda" if options.device == "auto" and torch.cuda.is_available() else options.device
    with joined(wants):
        files.set_seeds(options.seed)
        yield say if world().first else lambda _: None


def run(make_task: Callable[[Any, Say], Task], options: Options, say: Say) -> None:
    """All of a recipe. make_task: what it makes of its own options."""
    with begun(options, say) as tell:
        train(make_task(options, tell), options, tell)


def train(task: Task, options: Options, say: Say = lambda _: None) -> Progress:
    """Train, or go on training, until all steps are done or it gets no better.

    Afterwards the folder `options.out` holds log.jsonl, loss.png, checkpoints/ and model/, the
    best weights; task.model has them too. Raises a BenchError, and keeps what was reached, where
    memory runs out, a loss is no number, or a checkpoint is damaged or of other options.
    """
    work = prepared(task, options, say)
    resume(work)
    with logs(work) as (log, tracker), kept_on_failure(work):
        look_and_save(work, log, tracker)
        for batches in steps(work):
            report(work, update(work, batches), log, tracker)
            look_and_save(work, log, tracker)
        finish(work, tracker)
    return work.progress


@contextlib.contextmanager
def logs(work: Work) -> Iterator[tuple[Log | None, Tracker]]:
    """The log and the tracker; those of the first process write, the others' do not."""
    uri = work.options.mlflow if world().first else ""
    with contextlib.ExitStack() as stack:
        log = Log(work.folder, work.saved) if world().first else None
        if log is not None:
            stack.enter_context(log)
        tracker = stack.enter_context(tracking(uri, work.task.name, as_table(work.options)))
        yield log, tracker


def steps(work: Work) -> Iterator[list[Any]]:
    """The batches of each step that is left; `progress` moves on once a step is done."""
    done = work.progress
    while not over(work):
        batches = usable(work.task.batches(done.epoch))
        for start in range(done.batch, len(batches), work.options.accumulate):
            chosen = batches[start : start + work.options.accumulate]
            work.last = start + len(chosen) == len(batches)
            if work.task.before_step is not None:
                work.task.before_step(done.step)
            yield chosen
            if over(work):
                return
        if not batches:
            done.epoch += 1


def over(work: Work) -> bool:
    """Whether all steps are done, or it got no better for so long that it will not."""
    late = 0 < work.options.patience <= work.progress.misses
    return late or work.progress.step >= work.total


def report(work: Work, step: Done, log: Log | None, tracker: Tracker) -> None:
    """A line of the log, and now and then one of progress."""
    done = work.progress
    row = {
        "step": done.step,
        "epoch": step.epoch,
        "loss": step.loss,
        "parts": step.parts,
        "rate": step.rate,
        "norm": step.norm if math.isfinite(step.norm) else None,
        "tokens_per_second": step.tokens / step.seconds,
        "seconds": done.seconds,
        "memory_bytes": memory_bytes(work.device.type),
    }
    if log is not None:
        log.add(row)
    if done.step % work.options.log_every == 0 or done.step == work.total:
        left = (work.total - done.step) * done.seconds / done.step
        work.say(progress_line(row, work.total, left))
        numbers = {"loss": step.loss, "rate": step.rate, **step.parts}
        tracker.numbers(done.step, numbers)


def look_and_save(work: Work, log: Log | None, tracker: Tracker) -> None:
    """Measure where it is time, and write a checkpoint where it is time."""
    step, every = work.progress.step, work.options.save_every
    if due(work):
        look(work, log, tracker)
    if step != work.saved and (due(work) or step - work.saved >= every > 0):
        save(work)


def due(work: Work) -> bool:
    """Whether it is time to measure: before, every so many steps or epochs, and at the end."""
    step, every = work.progress.step, work.options.measure_every
    if step in (0, work.total):
        return True
    return step % every == 0 if every else step in itertools.accumulate(work.lengths)


def look(work: Work, log: Log | None, tracker: Tracker) -> None:
    """Measure, once a step; say whether it is the best so far. Before the first step test too."""
    done, name = work.progress, work.task.measure_name
    if done.step == 0 and not done.tests and work.task.test is not None:
        done.tests["before"] = tested(work, work.task.test)
    if work.task.measure is None or done.step in (step for step, _ in done.history):
        return
    value = measured(work, work.task.measure)
    better = done.best is None or value > done.best
    done.history.append((done.step, value))
    done.best = value if done.best is None else max(done.best, value)
    done.best_step = done.step if better else done.best_step
    done.misses = 0 if better else done.misses + 1
    work.say(f"step {done.step}: {name} {value:.4f} (best {done.best:.4f}, step {done.best_step})")
    tracker.numbers(done.step, {name.replace("@", "_at_"): value})
    if log is not None:
        log.add({"step": done.step, "measure": name, "value": value})
        for row in work.task.notes() if work.task.notes is not None else ():
            log.add({"step": done.step, **row})


def measured(work: Work, measure: Callable[[], float]) -> float:
    """What the first process measures, the model evaluating."""
    value = 0.0
    if world().first:
        with evaluating(work):
            value = measure()
    return of_first(value, work.device)


def tested(work: Work, test: Callable[[], Mapping[str, float]]) -> dict[str, float]:
    """The same for several measures; the other processes need them not."""
    if not world().first:
        return {}
    with evaluating(work):
        return dict(test())


@contextlib.contextmanager
def evaluating(work: Work) -> Iterator[None]:
    """No dropout, no gradients, and the random generators afterwards as before."""
    before = files.random_state(work.device)
    work.task.model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        work.task.model.train()
        files.set_random_state(before, work.device)


def finish(work: Work, tracker: Tracker) -> None:
    """The best weights, tested and saved as a model with its card; the plot of the loss."""
    done, task = work.progress, work.task
    if task.measure is not None:
        best = work.folder / CHECKPOINTS / f"step-{done.best_step:08d}"
        files.read_state(best)
        files.load_weights(task.model, best)
    if task.test is not None:
        done.tests["after"] = tested(work, task.test)
    if world().first:
        task.model.eval()
        with drafted(work.folder / MODEL) as draft:
            task.save(draft)
            write_card(draft, task, work.options, asdict(done))
        plot(work.folder, task.measure_name)
        for name in ("log.jsonl", "loss.png", f"{MODEL}/README.md"):
            tracker.file(work.folder / name)
        best_step = done.step if done.best is None else done.best_step
        if best_step == 0:
            work.say(f"no measuring was better than the one before training: {done.best:.4f}")
        work.say(f"saved {work.folder / MODEL}, of step {best_step}")
    wait()
