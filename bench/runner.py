"""The main path: suites and systems in, a record out. It reads from top to bottom.

several processes at a time, with --jobs: the rankings of all cells       made ahead
for each suite, loaded once
    for each system
        make, index, search in batch, check, rerank, judge, measure     quality
        in a process of its own: build, save, time single queries       cost
    compare the systems
    check what came out
save the record, the run files and the report
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.about import suite_info, system_info
from bench.answering import (
    Answers,
    Kept,
    answers_apart,
    answers_here,
    measure_answers,
    rows_of,
)
from bench.answers.files import answer_lines
from bench.child import Deadline
from bench.config import Experiment, System
from bench.environment import environment
from bench.examples import examples, finished
from bench.isolated import stages_apart
from bench.jobs import Ahead, How, chosen, make_ahead
from bench.journal import NO_JOURNAL, Journal
from bench.judge import judge
from bench.latency import Protocol, measure_cost
from bench.lint import after_run, lines
from bench.memory import share
from bench.metrics import parse_measure
from bench.plan import Plan, cautions, planned, slug, spaced_id
from bench.plugins import is_plugin
from bench.shared import Shared
from bench.stages import StageCache
from bench.stats import bootstrap_mean, compare_systems
from encoders.base import device_scope
from qrels.data import ABSENT, Run, Suite
from qrels.errors import BenchError
from qrels.trec import write_run
from reports.files import write
from reports.record import Bound, Cell, ComparisonInfo, Cost, Record, SuiteInfo
from retrievers import BOUNDS, RETRIEVERS
from retrievers.registry import parse_spec

Say = Callable[[str], None]
Status = Literal["complete", "partial"]


@dataclass(frozen=True)
class Options:
    """How to run, as against what: None as protocol leaves the cost out."""

    protocol: Protocol | None = field(default_factory=Protocol)
    device: str = "cpu"
    with_text: bool = True
    command: str = ""
    timeout: float | None = None  # seconds a cell may take; it then runs in a process of its own
    isolate: bool = False  # plug-ins run in processes of their own, which may die
    cache: bool = False  # rankings are taken from the cache folder and kept there; cost never is
    jobs: int = 1  # processes at a time that make rankings; cost is measured alone
    memory: int | None = None  # bytes that all processes together may hold


@dataclass
class Progress:
    """What is finished so far; an interrupted run is saved from it."""

    suites: list[Suite] = field(default_factory=list)
    systems: dict[str, System] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    runs: dict[tuple[str, str, str], Run] = field(default_factory=dict)
    ahead: Ahead = field(default_factory=Ahead)
    answers: dict[tuple[str, str, str], str] = field(default_factory=dict)  # as in their files
    kept: Kept = field(default_factory=Kept)


def run_experiment(
    experiment: Experiment,
    folder: Path | None = None,
    options: Options = Options(),
    say: Say = lambda _: None,
    progress: Progress | None = None,
    plan: Plan | None = None,
    journal: Journal = NO_JOURNAL,
) -> Record:
    """Run every cell of *experiment* and return the record of it all.

    folder: where the run files go; None writes none. say gets a line for each step. A system
    that fails is a failed cell with its reason; the others finish. Wrong suites, names and
    parameters raise a BenchError before anything is run. progress: pass one in to keep what is
    finished when this is interrupted; plan: what `planned` gave, where it was asked before;
    journal: finished cells are taken from it and kept in it.
    """
    done = progress if progress is not None else Progress()
    plan = planned(experiment) if plan is None else plan
    total = sum(len(systems) for _, systems in plan)
    kept = journal.finished(plan)
    if kept:
        say(f"resuming: {len(kept)} of {total} cells were finished")
    disk = StageCache(options.device, say) if options.cache else None
    stopped = None
    if options.jobs > 1 or options.memory is not None:
        try:
            todo = chosen(plan, lambda place: place not in kept)
            make_ahead(todo, how(options), done.ahead, disk, say)
        except KeyboardInterrupt as error:  # what was made so far becomes cells, without cost
            stopped, options, journal = error, replace(options, protocol=None), NO_JOURNAL
            plan = chosen(plan, lambda place: place in kept or place in done.ahead)
    for suite, systems in plan:
        done.suites.append(suite)
        say(
            f"{suite.name} ({suite.split}): {len(suite.corpus):,} documents, "
            f"{len(suite.queries):,} queries"
        )
        for line in cautions(suite, folder):
            say(line)
        name = (suite.name, suite.split)
        shared = Shared(suite, [s for s in systems if (*name, s.name) not in kept], disk)
        for system in systems:
            say(f"[{len(done.cells) + 1}/{total}] {system.name} ...")
            done.systems[system.name] = system
            if (found := kept.pop((*name, system.name), None)) is not None:
                done.cells.append(restored(suite, system, *found, folder, done))
            else:
                cell = run_cell(shared, system, folder, options, experiment.seed, done)
                done.cells.append(cell)
                keep(journal, suite, system, cell, done, say)
            say(f"      {describe(done.cells[-1])}")
    done.kept.close()
    if stopped is not None:
        raise stopped
    record = record_of(experiment, options, done, "complete")
    for line in lines([found for found in record.findings if found.level != "note"]):
        say(line)
    return record


def how(options: Options) -> How:
    """What *options* say of the processes that make rankings ahead."""
    memory = None if options.memory is None else share(options.memory, options.jobs)
    return How(options.jobs, options.device, options.timeout, memory)


def run_cell(
    shared: Shared, system: System, folder: Path | None, options: Options, seed: int, done: Progress
) -> Cell:
    """One system on one suite: quality, then cost; a failure becomes a failed cell.

    Where only the cost cannot be measured the quality is kept, with the reason.
    """
    suite = shared.suite
    deadline = None if options.timeout is None else Deadline.after(options.timeout)
    try:
        first, run = rankings(shared, system, options, deadline, done.ahead)
        if suite.task == "answers":
            said = answers(suite, system, run, options, deadline, done.kept)
            values, before, best = measure_answers(suite, said), {}, {}
        else:
            said = None
            values = measure_run(suite, run)
            before = measure_run(suite, first) if system.reranker else {}
            best = measure_run(suite, ideal(suite, first, system))
        bound = bound_of(system)
        protocol = None if bound else options.protocol
        cost, cost_error = cost_of(suite, system, protocol, deadline)
    except BenchError as error:
        return failed(suite, system, str(error))
    except (Exception, SystemExit) as error:  # a plug-in may raise anything; the others go on
        return failed(suite, system, f"{type(error).__name__}: {error}")
    # not in the try: a disk that cannot be written is no fault of the system
    name, digest = run_file(save_run(suite, system, run, folder) if folder else None)
    place = (suite.name, suite.split, system.name)
    done.runs[place] = run
    if said is not None and options.with_text:
        done.answers[place] = answer_lines(rows_of(suite, system, said))
    answers_name, answers_digest = save_answers(place, done, folder)
    return Cell(
        suite=suite.name,
        split=suite.split,
        system=system.name,
        status="ok",
        error=None,
        values={name: tuple(found.tolist()) for name, found in values.items()},
        means={name: interval(found, seed) for name, found in values.items()},
        missing=int((run.docs == ABSENT).all(axis=1).sum()),
        run_file=name,
        run_digest=digest,
        cost=cost,
        first_stage={name: tuple(found.tolist()) for name, found in before.items()},
        ceiling={name: tuple(found.tolist()) for name, found in best.items()},
        cost_error=cost_error,
        bound=bound,
        answers_file=answers_name,
        answers_digest=answers_digest,
    )


def rankings(
    shared: Shared, system: System, options: Options, deadline: Deadline | None, ahead: Ahead
) -> tuple[Run, Run]:
    """First stage and reranked: made ahead, or here, or where it can be stopped."""
    if (found := ahead.take(shared.suite, system)) is not None:
        return found
    if deadline is not None or (options.isolate and is_plugin(system)):
        return stages_apart(shared, system, options.device, deadline)
    with device_scope(options.device):
        return shared.stages(system)


def answers(
    suite: Suite,
    system: System,
    run: Run,
    options: Options,
    deadline: Deadline | None,
    kept: Kept,
) -> Answers:
    """What the system says to each question of the suite, made here or where it can be stopped."""
    if deadline is not None or (options.isolate and is_plugin(system)):
        return answers_apart(suite, system, run, options.device, deadline)
    return answers_here(suite, system, run, options.device, kept)


def bound_of(system: System) -> Bound | None:
    """Whether the system is no candidate but a floor or a ceiling; built-ins alone are such."""
    name = parse_spec(system.retriever)[0]
    found: Bound | None = RETRIEVERS.load(name).bound if name in BOUNDS else None
    return found


def keep(
    journal: Journal, suite: Suite, system: System, cell: Cell, done: Progress, say: Say
) -> None:
    """Keep a cell for the next run where all of it could be had; *say* gets why it is not kept."""
    if cell.error is not None or cell.cost_error is not None:
        return
    try:
        place = (suite.name, suite.split, system.name)
        journal.add(suite, system, cell, done.runs[place], done.answers.get(place))
    except OSError as error:
        say(f"note: {system.name} would have to be run again; {error.strerror}: {journal.folder}")


def restored(
    suite: Suite,
    system: System,
    cell: Cell,
    run: Run,
    answers: str | None,
    folder: Path | None,
    done: Progress,
) -> Cell:
    """A cell of the journal, its files written anew."""
    place = (suite.name, suite.split, system.name)
    done.runs[place] = run
    if answers is not None:
        done.answers[place] = answers
    name, digest = run_file(save_run(suite, system, run, folder) if folder else None)
    answers_name, answers_digest = save_answers(place, done, folder)
    return replace(
        cell, run_file=name, run_digest=digest,
        answers_file=answers_name, answers_digest=answers_digest,
    )  # fmt: skip


def run_file(written: Path | None) -> tuple[str | None, str | None]:
    """What a cell says of its run file: its name in the result folder and its digest."""
    if written is None:
        return None, None
    return f"runs/{written.name}", hashlib.sha256(written.read_bytes()).hexdigest()


def cost_of(
    suite: Suite, system: System, protocol: Protocol | None, deadline: Deadline | None = None
) -> tuple[Cost | None, str | None]:
    """The cost, None where it is not wanted; or None and why it could not be measured."""
    if protocol is None:
        return None, None
    try:
        return measure_cost(suite, system, protocol, deadline), None
    except BenchError as error:
        return None, str(error)


def save_run(suite: Suite, system: System, run: Run, folder: Path) -> Path | None:
    """The TREC run file of one cell; None where the format cannot carry the suite's ids."""
    if spaced_id(suite) is not None:
        return None
    parts = (suite.name, suite.split, system.name)
    path = folder / "runs" / f"{'.'.join(map(slug, parts))}.trec.gz"
    path.parent.mkdir(exist_ok=True)
    write_run(path, suite.queries.query_ids, suite.corpus.doc_ids, run, slug(system.name))
    return path


def save_answers(
    place: tuple[str, str, str], done: Progress, folder: Path | None
) -> tuple[str | None, str | None]:
    """Write the answers of one cell, where there are some: their file's name and its digest."""
    if folder is None or place not in done.answers:
        return None, None
    name = f"answers/{'.'.join(map(slug, place))}.jsonl"
    body = done.answers[place].encode("utf-8", "surrogatepass")
    (folder / "answers").mkdir(exist_ok=True)
    write(folder / name, body)
    return name, hashlib.sha256(body).hexdigest()


def ideal(suite: Suite, first: Run, system: System) -> Run:
    """What a perfect reranker would make of the first stage: best grades first, within its depth.

    An unjudged document counts as grade 0. Without a reranker all documents are reordered.
    """
    depth = system.rerank_depth if system.reranker else suite.depth
    grades = np.maximum(judge(first, suite.qrels).grades[:, :depth], 0)
    order = np.argsort(-grades, axis=1, kind="stable")
    docs = first.docs.copy()
    docs[:, :depth] = np.take_along_axis(first.docs[:, :depth], order, axis=1)
    return Run(docs, first.scores)


def measure_run(suite: Suite, run: Run) -> dict[str, NDArray[np.float64]]:
    """Each of the suite's measures per query, float64 (n_queries,)."""
    judged = judge(run, suite.qrels)
    return {name: parse_measure(name).values(judged) for name in suite.measures}


def interval(values: NDArray[np.float64], seed: int) -> dict[str, float]:
    """Mean and 95 % bootstrap interval over queries."""
    found = bootstrap_mean(values, np.random.default_rng(seed))
    return {"mean": found.mean, "low": found.low, "high": found.high}


def failed(suite: Suite, system: System, error: str) -> Cell:
    return Cell(
        suite=suite.name, split=suite.split, system=system.name, status="failed", error=error,
        values={}, means={}, missing=0, run_file=None, run_digest=None, cost=None,
    )  # fmt: skip


def describe(cell: Cell) -> str:
    """One progress line about a finished cell."""
    if cell.error is not None:
        return f"{cell.system}: failed: {cell.error}"
    means = "  ".join(f"{name} {found['mean']:.4f}" for name, found in cell.means.items())
    if cell.cost_error is not None:
        return f"{cell.system}: {means}  cost not measured: {cell.cost_error}"
    if cell.cost is None:
        return f"{cell.system}: {means}"
    return f"{cell.system}: {means}  p50 {np.median(cell.cost.latency_ns['total']) / 1e6:.1f} ms"


def record_of(experiment: Experiment, options: Options, done: Progress, status: Status) -> Record:
    """The record of what is done so far: compared, with examples, ready to save."""
    texts = options.with_text
    record = Record(
        status=status,
        name=experiment.name or "+".join(dict.fromkeys(suite.name for suite in done.suites)),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=options.command,
        seed=experiment.seed,
        environment=environment(),
        suites=tuple(suite_info(suite, texts) for suite in done.suites),
        systems=tuple(system_info(system) for system in done.systems.values()),
        cells=tuple(done.cells),
        comparisons=tuple(
            found
            for suite in done.suites
            for found in comparisons(suite, done.cells, experiment.seed)
        ),
        examples=tuple(
            found
            for suite in done.suites
            for found in examples(suite, done.cells, done.runs, done.answers, with_text=texts)
        ),
    )
    return replace(record, findings=after_run(record, done.suites, done.runs))


def comparisons(
    suite: Suite | SuiteInfo, cells: Sequence[Cell], seed: int, alpha: float = 0.05
) -> list[ComparisonInfo]:
    """All pairs of the suite's finished systems, a family of tests for each measure."""
    mine = finished(suite, cells)
    found = []
    for measure in suite.measures if len(mine) > 1 else ():
        values = {cell.system: np.array(cell.values[measure]) for cell in mine}
        result = compare_systems(values, np.random.default_rng(seed), alpha)
        found.append(
            ComparisonInfo(
                suite=suite.name,
                split=suite.split,
                measure=measure,
                pairs=result.pairs,
                letters=result.letters,
                detectable=result.detectable,
            )
        )
    return found
