"""Checks of a record: its numbers, and whether they are those of its run files."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.judge import judge
from bench.lint.findings import Check, Found, Level, some
from bench.lint.rankings import JUDGED, Rankings
from bench.metrics import parse_measure
from qrels.data import Run, Suite
from reports.record import Cell, Record, RecordError, SuiteInfo, load

Key = tuple[str, str, str]
"""Suite, split and system."""

ROUNDING = 1e-9
DETECTABLE = 0.1
NO_ANSWER = 0.2


class Recorded(NamedTuple):
    """A record with what could be found of the runs and suites behind it.

    rankings: by suite, split and system; positions are those of the suite, or shared by all runs
    of one. suites: by name and split, as loaded now, whether or not they have changed. folder:
    where the run files should be, None where the record has just been made.
    """

    record: Record
    rankings: Mapping[Key, Rankings]
    suites: Mapping[tuple[str, str], Suite]
    folder: Path | None = None

    def measured(self) -> Iterator[tuple[SuiteInfo, list[Cell]]]:
        """Each suite with its finished cells."""
        for info in self.record.suites:
            here = (info.name, info.split)
            cells = [cell for cell in self.record.cells if (cell.suite, cell.split) == here]
            yield info, [cell for cell in cells if cell.status == "ok"]

    def suite(self, info: SuiteInfo) -> Suite | None:
        """The suite with the record's measures and depth; None where it is not the one measured."""
        suite = self.suites.get((info.name, info.split))
        if suite is None or suite.digest != info.digest:
            return None
        return replace(suite, measures=info.measures, depth=info.depth)


def task_of(recorded: Recorded, task: str) -> Recorded:
    """The part of it that measured rankings, or the part that measured answers."""
    record = recorded.record
    suites = tuple(info for info in record.suites if info.task == task)
    known = {(info.name, info.split) for info in suites}
    return recorded._replace(
        record=replace(
            record,
            suites=suites,
            cells=tuple(cell for cell in record.cells if (cell.suite, cell.split) in known),
            comparisons=tuple(one for one in record.comparisons if (one.suite, one.split) in known),
        )
    )


def unreadable(file: Path) -> Iterator[Found]:
    """A record that another version wrote, or that was cut off; NaN is the next check's."""
    try:
        load(file)
    except RecordError as error:
        if not list(not_finite(file)):
            yield "error", str(error)


def not_finite(file: Path) -> Iterator[Found]:
    bad: list[str] = []
    try:
        json.loads(file.read_bytes(), parse_constant=bad.append)
    except (OSError, ValueError, RecursionError):
        return
    if bad:
        yield "error", f"{file}: {len(bad)} numbers are {' or '.join(sorted(set(bad)))}"


def out_of_range(recorded: Recorded) -> Iterator[Found]:
    for _, cells in recorded.measured():
        for cell in cells:
            for name, values in cell.values.items():
                bad = [value for value in values if not -ROUNDING <= value <= 1 + ROUNDING]
                if bad:
                    count = f"{len(bad)} of {len(values)} values of {name}"
                    yield "error", f"{cell.system}: {count} are outside [0, 1], {bad[0]:g} for one"


def wrong_means(recorded: Recorded) -> Iterator[Found]:
    for _, cells in recorded.measured():
        for cell in cells:
            for name, given in cell.means.items():
                mean = float(np.mean(cell.values.get(name) or (np.nan,)))
                if abs(mean - given["mean"]) > ROUNDING:
                    text = f"the mean of {name} is given as {given['mean']:.6f}, the values give"
                    yield "error", f"{cell.system}: {text} {mean:.6f}"
                elif not given["low"] - ROUNDING <= mean <= given["high"] + ROUNDING:
                    yield "error", f"{cell.system}: the mean of {name} is outside its interval"


def unfinished(recorded: Recorded) -> Iterator[Found]:
    for cell in recorded.record.cells:
        if cell.status == "failed":
            yield "warning", f"{cell.system} failed: {cell.error}"
    if recorded.record.status == "partial":
        yield "warning", "the run was interrupted; what it had not finished is missing"


def without_relevant(recorded: Recorded) -> Iterator[Found]:
    for info in recorded.record.suites:
        if info.without_relevant:
            share = f"{info.without_relevant} of {info.queries} queries"
            yield "warning", f"{info.name}: {share} have no relevant document"


def few_queries(recorded: Recorded) -> Iterator[Found]:
    """What the typical pair could show at 80 % power, tested alone."""
    for one in recorded.record.comparisons:
        info = next(
            info
            for info in recorded.record.suites
            if (info.name, info.split) == (one.suite, one.split)
        )
        if one.measure != info.measures[0]:
            continue
        if one.detectable is None:
            yield (
                "warning",
                f"{info.name}: {info.queries} queries show no difference, however large",
            )
        elif one.detectable > DETECTABLE:
            least = f"a difference in {one.measure} below {one.detectable:.3f}"
            yield "warning", f"{info.name}: {info.queries} queries are too few for {least}"


def no_answer(recorded: Recorded) -> Iterator[Found]:
    for info, cells in recorded.measured():
        if not cells:
            continue
        values = np.array([cell.values[info.measures[0]] for cell in cells])
        for cell in (cell for cell, row in zip(cells, values, strict=True) if not row.any()):
            yield "error", f"{cell.system}: {info.measures[0]} is 0 for every query"
        names = [info.query_ids[row] for row in np.flatnonzero(~values.any(axis=0)).tolist()]
        if names and values.any():
            level: Level = "warning" if len(names) > NO_ANSWER * info.queries else "note"
            share = f"{len(names)} of {info.queries} queries"
            what = f"{info.measures[0]} is 0 in every system"
            yield level, f"{info.name}: {what} for {share}: {some(names)}"


def twins(recorded: Recorded, *, reranked: bool) -> Iterator[Found]:
    """Two systems with the same documents in the same order for every query.

    reranked: only a reranker and the retriever whose documents it was given, or only the others.
    """
    for info, cells in recorded.measured():
        orders: dict[bytes, list[str]] = {}
        for cell in cells:
            if one := recorded.rankings.get((info.name, info.split, cell.system)):
                orders.setdefault(_order(one.run), []).append(cell.system)
        for a, b in (pair for names in orders.values() for pair in combinations(names, 2)):
            stages = _stages(recorded.record, a, b)
            if reranked and stages:
                last, first = stages
                yield "warning", f"{last} returns what {first} returns: its reranker moves nothing"
            elif not reranked and not stages:
                yield "warning", f"{a} and {b} return the same documents in the same order"


def _order(run: Run) -> bytes:
    """A digest of the documents in their order, whatever depth pads them."""
    longest = int((run.docs >= 0).sum(axis=1).max(initial=0))
    return hashlib.sha256(run.docs[:, :longest].tobytes()).digest()


def _stages(record: Record, a: str, b: str) -> tuple[str, str] | None:
    """The one of the two that reranks what the other retrieves, and the other."""
    table = {system.name: system for system in record.systems}
    for last, first in ((a, b), (b, a)):
        late, early = table[last], table[first]
        same = (late.retriever, late.params) == (early.retriever, early.params)
        if same and late.reranker is not None and early.reranker is None:
            return last, first
    return None


def idle_rerankers(recorded: Recorded) -> Iterator[Found]:
    """By the rankings of the retriever alone, and by what its first stage scores."""
    yield from twins(recorded, reranked=True)
    for _, cells in recorded.measured():
        for cell in cells:
            if cell.first_stage and cell.first_stage == cell.values:
                yield "warning", f"{cell.system}: its reranker changes no measure of any query"


def run_files(recorded: Recorded) -> Iterator[Found]:
    for cell in recorded.record.cells if recorded.folder else ():
        if cell.run_file is None or recorded.folder is None:
            continue
        path = recorded.folder / cell.run_file
        if not path.is_file():
            yield "warning", f"{cell.system}: its run file {cell.run_file} is not there"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != cell.run_digest:
            yield "error", f"{cell.system}: {cell.run_file} is not the file that was measured"


def other_values(recorded: Recorded) -> Iterator[Found]:
    for info, cells in recorded.measured():
        suite = recorded.suite(info)
        for cell in cells if suite is not None and recorded.folder else ():
            one = recorded.rankings.get((info.name, info.split, cell.system))
            if one is None or suite is None:
                continue
            judged = judge(one.run, suite.qrels)
            for name in info.measures:
                away = np.abs(parse_measure(name).values(judged) - cell.values[name])
                if away.max(initial=0) > ROUNDING:
                    count = f"{(away > ROUNDING).sum()} values of {name}"
                    yield "error", f"{cell.system}: {count} are not what its run file gives"


def unjudged(recorded: Recorded) -> Iterator[Found]:
    """Where there are no rankings and qrels for the bounds: by Judged@k over queries answered."""
    for info, cells in recorded.measured():
        names = [name for name in info.measures if parse_measure(name).name == "Judged"]
        for cell in cells:
            one = recorded.rankings.get((info.name, info.split, cell.system))
            if one is not None and one.qrels is not None:
                continue
            for name in names[:1]:
                share = sum(cell.values[name]) / max(1, info.queries - cell.missing)
                if share < JUDGED:
                    yield "warning", f"{cell.system}: {name} is {share:.3f}"


def changed_suite(recorded: Recorded) -> Iterator[Found]:
    for info in recorded.record.suites:
        suite = recorded.suites.get((info.name, info.split))
        if suite is not None and suite.digest != info.digest:
            yield "warning", f"{info.name} ({info.split}) is no longer the suite that was measured"


FILE: Sequence[Check[Path]] = (
    Check(
        "V1", "a record that cannot be read",
        "run it again, or read it with the version that wrote it", unreadable,
    ),
    Check("V2", "NaN or infinity in a record", "run it again: no mean over it means anything",
          not_finite),
)  # fmt: skip

RECORD: Sequence[Check[Recorded]] = (
    Check(
        "V3", "a value of a measure outside [0, 1]",
        "every measure here lies in it: mend what wrote the value", out_of_range,
    ),
    Check(
        "V4", "a mean that the values per query do not give",
        "the record was changed by hand, or cut: run it again", wrong_means,
    ),
    Check(
        "V5", "a system that failed, or a run that was interrupted",
        "mend what the reason names and run it again", unfinished,
    ),
    Check(
        "V6", "queries that nothing can answer",
        "they score 0 and stay in the mean: judge more documents for them", without_relevant,
    ),
    Check(
        "V7", "too few queries to show a difference that matters",
        "add queries, or compare over several suites", few_queries,
    ),
    Check(
        "V8", "queries that score 0 in every system, and systems that score 0 in every query",
        "look at their judgements, and at the ids: are they those of the corpus?", no_answer,
    ),
    Check(
        "V9", "two systems with the same rankings",
        "was a parameter mistyped, or does it do nothing here?", partial(twins, reranked=False),
    ),
    Check(
        "V10", "a reranker whose output is its input",
        "look at its scores: are they constant, or those of the first stage?", idle_rerankers,
    ),
    Check(
        "V11", "a run file that is missing, or not the one that was measured",
        "copy the whole result folder, and leave its files as they are", run_files,
    ),
    Check(
        "V12", "values that the run file does not give",
        "run it again: values and rankings do not belong together", other_values,
    ),
    Check(
        "V13", "a suite that has changed since",
        "run it again before comparing it with newer results", changed_suite,
    ),
    Check(
        "V14", "a low share of judged documents, where suite or run files are not at hand",
        "give --suite FOLDER to see what that could change", unjudged,
    ),
)  # fmt: skip
