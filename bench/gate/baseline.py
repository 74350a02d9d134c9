"""The file that a gate compares with: values per query of the systems as they were accepted.

A line a query, so that the diff of a new baseline shows just the queries that changed. Floats
are written with all their digits; nothing in the file changes unless what was measured, or what
it was measured on, does.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from bench import metrics
from qrels.errors import DataError, UsageError
from qrels.trec import read_run
from reports.files import write
from reports.record import Cell, Record, SystemInfo
from reports.serial import Free, RecordError, dumps, loads

SCHEMA: Literal[1] = 1
KEPT = ("python", "packages", "platform")
"""What of the record's environment goes along: what may change a ranking."""


@dataclass(frozen=True)
class Line:
    """One query: its values in the order of the cell's measures, and a digest of its ranking.

    ranking: the first 12 hex digits of SHA-256 over the ids in their order; "" if not known.
    """

    values: tuple[float, ...]
    ranking: str


@dataclass(frozen=True)
class Accepted:
    """One system on one split of one suite as it was accepted; judged and searched as said.

    environment: what the record said of it, as far as KEPT.
    """

    suite: str
    split: str
    digest: str
    depth: int
    relevance_level: int
    exclude_self: bool
    environment: Free
    system: SystemInfo
    measures: tuple[str, ...]
    queries: dict[str, Line]

    @property
    def key(self) -> tuple[str, str, str]:
        """Suite, split and the system's name."""
        return self.suite, self.split, self.system.name

    def column(self, measure: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The measure's values, float64 (n_queries,)."""
        at = self.measures.index(measure)
        return np.array([line.values[at] for line in self.queries.values()])


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What was accepted, by cell."""

    schema: Literal[1] = SCHEMA
    cells: tuple[Accepted, ...]


def baseline_of(
    record: Record, folder: Path, systems: Sequence[str] = (), measures: Sequence[str] = ()
) -> Baseline:
    """The baseline that *record*, in *folder*, makes; of all systems and measures or those named.

    Judged@k is left out: it says something of the judgements. Raises UsageError for a record
    that is partial, a failed or unknown system, or a measure that was not measured.
    """
    if record.status != "complete":
        raise UsageError(f"{folder}: the record is {record.status}; only a whole one is accepted")
    for name in systems:
        if name not in (known := [cell.system for cell in record.cells]):
            raise UsageError(
                f"{folder} has no system {name!r}; it has {', '.join(map(repr, known))}"
            )
    cells = [cell for cell in record.cells if cell.bound is None]
    cells = [cell for cell in cells if not systems or cell.system in systems]
    if not cells:
        raise UsageError(f"{folder}: the record has no system to accept")
    return Baseline(cells=tuple(_accepted(record, cell, folder, measures) for cell in cells))


def _accepted(record: Record, cell: Cell, folder: Path, measures: Sequence[str]) -> Accepted:
    if cell.error is not None:
        raise UsageError(f"{folder}: {cell.system!r} failed on {cell.suite!r}: {cell.error}")
    suites = {(suite.name, suite.split): suite for suite in record.suites}
    suite = suites[cell.suite, cell.split]
    chosen = [named(name, suite.relevance_level) for name in measures] or [
        name for name in suite.measures if not name.startswith("Judged")
    ]
    for name in chosen:
        if name not in suite.measures:
            raise UsageError(f"{folder}: {name} was not measured on {suite.name!r}")
    rankings = rankings_of(cell, folder)
    columns = [cell.values[name] for name in chosen]
    return Accepted(
        suite=cell.suite,
        split=cell.split,
        digest=suite.digest,
        depth=suite.depth,
        relevance_level=suite.relevance_level,
        exclude_self=suite.exclude_self,
        environment={key: record.environment[key] for key in KEPT if key in record.environment},
        system={system.name: system for system in record.systems}[cell.system],
        measures=tuple(chosen),
        queries={
            query: Line(tuple(values), "" if rankings is None else digest_of(rankings[query]))
            for query, *values in zip(suite.query_ids, *columns, strict=True)
        },
    )


def named(measure: str, level: int) -> str:
    """The measure as records have it: one that names no relevance level has the suite's."""
    return metrics.named(measure, level)


def rankings_of(cell: Cell, folder: Path) -> Mapping[str, list[str]] | None:
    """The cell's rankings by query, ids best first, from its run file; None where it has none.

    DataError where the file is gone or is not the one that the record describes.
    """
    if cell.run_file is None:
        return None
    path = folder / cell.run_file
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; the record needs its run files") from error
    if digest != cell.run_digest:
        raise DataError(f"{path}: its SHA-256 is not the one in the record; run again")
    rows = read_run(path)
    found: dict[str, list[str]] = _Empty()
    for query, doc in zip(rows.query_ids, rows.doc_ids, strict=True):
        found.setdefault(query, []).append(doc)
    return found


class _Empty(dict[str, list[str]]):
    """A query without a line in a run file has an empty ranking."""

    def __missing__(self, key: str) -> list[str]:
        return []


def digest_of(ranking: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(ranking).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def merged(old: Baseline, new: Baseline) -> Baseline:
    """*old* with its cells of the same keys replaced by those of *new*, further ones at the end."""
    return Baseline(cells=tuple({cell.key: cell for cell in (*old.cells, *new.cells)}.values()))


def narrowed(new: Baseline, old: Baseline) -> Baseline:
    """*new*, its cells with no other measures than *old* has of them, where it has any."""
    kept = {cell.key: cell.measures for cell in old.cells}
    return Baseline(cells=tuple(_narrowed(cell, kept.get(cell.key, ())) for cell in new.cells))


def _narrowed(cell: Accepted, measures: Sequence[str]) -> Accepted:
    at = [cell.measures.index(name) for name in measures if name in cell.measures]
    if not at:
        return cell
    return replace(
        cell,
        measures=tuple(cell.measures[i] for i in at),
        queries={
            query: replace(line, values=tuple(line.values[i] for i in at))
            for query, line in cell.queries.items()
        },
    )


def save(baseline: Baseline, path: Path) -> None:
    """Write the file, whole or not at all."""
    write(path, ("\n".join(_lines(baseline)) + "\n").encode("utf-8", "backslashreplace"))


def _lines(baseline: Baseline) -> Iterator[str]:
    yield f'{{"schema": {baseline.schema},'
    yield '"cells": ['
    for number, cell in enumerate(baseline.cells, 1):
        head = {key: value for key, value in vars(cell).items() if key != "queries"}
        yield dumps(head)[:-1] + ', "queries": {'
        lines = [f"{json.dumps(query)}: {dumps(line)}" for query, line in cell.queries.items()]
        yield ",\n".join(lines)
        yield "}}" + ("," if number < len(baseline.cells) else "")
    yield "]}"


def load(path: Path) -> Baseline:
    """The baseline in *path*; DataError names what is wrong with it."""
    try:
        found = loads(Baseline, path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError, RecordError) as error:
        raise DataError(f"{path}: not a baseline: {error}") from error
    if not found.cells:
        raise DataError(f"{path}: the baseline has no cells")
    for cell in found.cells:
        if any(len(line.values) != len(cell.measures) for line in cell.queries.values()):
            raise DataError(f"{path}: {cell.system.name!r} lacks values of {cell.measures}")
    return found
