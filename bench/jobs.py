"""Rankings of all cells made ahead, several processes at a time: `--jobs` and `--memory`.

Each first stage is made once, by a process of its own, and then each reranking by another. First
stages that read the corpus alike are made by one process, and nothing that needs an encoder
starts while another process fills the cache with that encoder's vectors. The rankings are those
of `Shared` in one process; a process that dies fails its own cells alone. A pool of joblib or of
the standard library breaks as a whole when one of its workers dies.
"""

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import NamedTuple

from bench.about import system_info
from bench.child import Answer, Deadline, ask_child, prepare, send
from bench.config import System
from bench.environment import available_cores, pinned_threads
from bench.memory import limited, needs_more
from bench.plan import Plan
from bench.plugins import is_plugin
from bench.shared import Shared, first_key, reading_of
from bench.stages import StageCache
from bench.system import make
from encoders.base import device_scope
from qrels.data import Run, Suite
from qrels.errors import BenchError, PluginError

Say = Callable[[str], None]
Place = tuple[str, str, str]
"""A cell: the names of suite, split and system."""

TICK = 0.05


@dataclass(frozen=True)
class How:
    """How many processes, on what, how long each may take and how much memory it may have."""

    jobs: int
    device: str = "cpu"
    timeout: float | None = None
    memory: int | None = None  # bytes a process


class Task(NamedTuple):
    """What one process does: the first stages of some systems, or one system's reranking."""

    shared: Shared
    systems: Sequence[System]
    first: Run | None = None

    @property
    def encoders(self) -> frozenset[str]:
        return frozenset(name for system in self.systems for name in system_info(system).encoders)


@dataclass
class Ahead:
    """What was made: the rankings of both stages of a cell, or why there are none."""

    rankings: dict[Place, tuple[Run, Run]] = field(default_factory=dict)
    failures: dict[Place, str] = field(default_factory=dict)

    def take(self, suite: Suite, system: System) -> tuple[Run, Run] | None:
        """The rankings, once; None where the cell was not reached. Raises PluginError."""
        place = place_of(suite, system)
        if place in self.failures:
            raise PluginError(self.failures[place])
        return self.rankings.pop(place, None)

    def __contains__(self, place: Place) -> bool:
        return place in self.rankings or place in self.failures


def chosen(plan: Plan, wanted: Callable[[Place], bool]) -> Plan:
    """The part of *plan* whose cells are *wanted*; no suite without a system."""
    parts = [(suite, [s for s in systems if wanted(place_of(suite, s))]) for suite, systems in plan]
    return [(suite, systems) for suite, systems in parts if systems]


def place_of(suite: Suite, system: System) -> Place:
    return suite.name, suite.split, system.name


def make_ahead(
    plan: Plan, how: How, ahead: Ahead, disk: StageCache | None = None, say: Say = lambda _: None
) -> None:
    """Make the rankings of every cell of *plan*; an interruption leaves those made in *ahead*."""
    work = Work(how, ahead, say)
    for suite, systems in plan:
        work.add(Shared(suite, systems, disk), systems)
    if work.waiting:
        say(f"making rankings in {how.jobs} processes at a time")
    running: dict[Future[list[Answer]], Task] = {}
    with _threads(how.jobs) as threads:
        while work.waiting or running:
            while len(running) < how.jobs and (task := work.next(list(running.values()))):
                running[threads.submit(ask, task, how)] = task
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                work.settle(running.pop(future), future.result())


def _stage(shared: Shared, system: System) -> tuple[str, ...]:
    """What a first stage of one suite is known by."""
    return shared.suite.name, shared.suite.split, first_key(system)


class Work:
    """What waits to be done, in order, and who waits for it."""

    def __init__(self, how: How, ahead: Ahead, say: Say) -> None:
        self.waiting: deque[Task] = deque()
        self._how, self._ahead, self._say = how, ahead, say
        self._users: dict[tuple[str, ...], list[System]] = {}  # of first stages not yet made
        self._warm: set[str] = set()  # encoders whose vectors are in the cache by now

    def add(self, shared: Shared, systems: Sequence[System]) -> None:
        """Queue what is not kept of the rankings of one suite."""
        groups: dict[str, dict[str, System]] = {}
        for system in systems:
            first, run = shared.known(system)
            if first is None:
                self._users.setdefault(_stage(shared, system), []).append(system)
                groups.setdefault(self._group(shared, system), {})[first_key(system)] = system
            elif run is None:
                self.waiting.append(Task(shared, [system], first))
            else:
                self._done(shared, system, first, run)
        self.waiting.extend(Task(shared, list(group.values())) for group in groups.values())

    def _group(self, shared: Shared, system: System) -> str:
        """What one process does together: what reads alike, unless it might not survive."""
        alone = first_key(system)
        if is_plugin(system) or self._how.timeout is not None or self._how.memory is not None:
            return alone
        return reading_of(make(system, shared.suite.corpus).retriever) or alone

    def next(self, running: Sequence[Task]) -> Task | None:
        """The first task that can start now; it no longer waits."""
        busy = frozenset().union(*(task.encoders for task in running)) - self._warm
        for task in self.waiting:
            if not task.encoders & busy:
                self.waiting.remove(task)
                return task
        return None

    def settle(self, task: Task, answers: Sequence[Answer]) -> None:
        """Take what a process answered, and queue what waited for it."""
        self._warm |= task.encoders
        for system, (failure, run) in zip(task.systems, answers, strict=True):
            if task.first is not None:
                self._end(task.shared, system, failure, task.first, run)
                continue
            if run is not None:
                task.shared.learn(system, run)
            for user in self._users.pop(_stage(task.shared, system)):
                if failure is None and user.reranker is not None:
                    self.waiting.appendleft(Task(task.shared, [user], run))
                else:
                    self._end(task.shared, user, failure, run, run)

    def _end(
        self,
        shared: Shared,
        system: System,
        failure: str | None,
        first: Run | None,
        run: Run | None,
    ) -> None:
        if first is None or run is None:
            self._ahead.failures[place_of(shared.suite, system)] = str(failure)
            self._say(f"      {system.name} on {shared.suite.name}: failed")
        else:
            shared.learn(system, first, run)
            self._done(shared, system, first, run)

    def _done(self, shared: Shared, system: System, first: Run, run: Run) -> None:
        self._ahead.rankings[place_of(shared.suite, system)] = first, run
        self._say(f"      {system.name} on {shared.suite.name}: ranked")


@contextmanager
def _threads(jobs: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that wait for processes; whatever fails inside, the processes end with it."""
    threads = ThreadPoolExecutor(jobs)
    try:
        yield threads
    except BaseException:
        threads.shutdown(wait=False, cancel_futures=True)
        while any(thread.is_alive() for thread in threads._threads):
            for child in multiprocessing.active_children():
                child.kill()
            time.sleep(TICK)
        raise
    threads.shutdown()


def ask(task: Task, how: How) -> list[Answer]:
    """What a process of its own answers to a task; for several systems that it took along when
    it died, what a process for each answers."""
    deadline = None if how.timeout is None else Deadline.after(how.timeout)
    message = (task.shared.suite, task.systems, task.first, how)
    try:
        answers: list[Answer] = ask_child(task.systems[0].name, _child, (), message, deadline)
    except PluginError as error:
        if len(task.systems) == 1:
            return [(needs_more(str(error), how.memory), None)]
        return [ask(task._replace(systems=[system]), how)[0] for system in task.systems]
    return answers


def _child(pipe: Connection) -> None:
    """Entry of the process: receive a task, send an answer for each of its systems."""
    prepare()
    send(pipe, (None, _answers(*pipe.recv())))


def _answers(suite: Suite, systems: Sequence[System], first: Run | None, how: How) -> list[Answer]:
    threads = max(1, available_cores() // how.jobs)
    with limited(how.memory), pinned_threads(threads), device_scope(how.device):
        shared = Shared(suite, systems)
        return [_answer(shared, system, first, how.memory) for system in systems]


def _answer(shared: Shared, system: System, first: Run | None, memory: int | None) -> Answer:
    """The rankings of the first stage, or of the reranker where the first stage's are known."""
    try:
        if first is None:
            return None, shared.first(system)
        shared.give(system, first)
        return None, shared.stages(system)[1]
    except BenchError as error:
        return str(error), None
    except (Exception, SystemExit) as error:  # a plug-in may raise anything
        return needs_more(f"{type(error).__name__}: {error}", memory, error), None
