"""Candidate and baseline brought together, cell by cell, or refused by name."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.gate.baseline import Accepted, Baseline, digest_of, rankings_of
from qrels.errors import DataError, UsageError
from reports.record import Cell, Record, SuiteInfo, SystemInfo


class Pair(NamedTuple):
    """A cell of the candidate with the one that was accepted."""

    old: Accepted
    new: Cell
    suite: SuiteInfo
    system: SystemInfo
    rankings: Mapping[str, list[str]] | None  # the candidate's, ids best first


def joined(
    record: Record, folder: Path, baseline: Baseline, systems: Sequence[str] = ()
) -> Iterator[Pair]:
    """Each cell of the baseline with the candidate's; DataError names what does not fit."""
    if record.status != "complete":
        raise DataError(f"{folder}: the record is {record.status}; only a whole one is compared")
    cells = {(cell.suite, cell.split, cell.system): cell for cell in record.cells}
    suites = {(suite.name, suite.split): suite for suite in record.suites}
    infos = {system.name: system for system in record.systems}
    known = [cell.system.name for cell in baseline.cells]
    for name in systems:
        if name not in known:
            raise UsageError(f"the baseline has no system {name!r}; it has {', '.join(known)}")
    for old in baseline.cells:
        if systems and old.system.name not in systems:
            continue
        where = f"{old.system.name} on {old.suite} ({old.split})"
        new = cells.get(old.key)
        if new is None:
            raise DataError(f"{folder} lacks {where}, which the baseline has")
        if new.error is not None:
            raise DataError(f"{folder}: {where} failed: {new.error}")
        suite = suites[old.suite, old.split]
        check_same(old, suite, where)
        yield Pair(old, new, suite, infos[old.system.name], rankings_of(new, folder))


def check_same(old: Accepted, suite: SuiteInfo, where: str) -> None:
    """DataError where the two were searched or judged by other rules."""
    compared = {
        "labels or corpus (digest)": (old.digest, suite.digest),
        "depth": (old.depth, suite.depth),
        "relevance level": (old.relevance_level, suite.relevance_level),
        "exclude_self": (old.exclude_self, suite.exclude_self),
        "queries": (list(old.queries), list(suite.query_ids)),
    }
    for what, (before, after) in compared.items():
        if before != after:
            sides = "" if what == "queries" else f": {before} in the baseline, {after} now"
            raise DataError(
                f"{where}: other {what}{sides}; the two cannot be compared, `bench baseline "
                "accept` would make this the new baseline"
            )


def reranked(pair: Pair) -> list[str] | None:
    """The queries whose ranking is another; None where either side's are not known."""
    lines = pair.old.queries.items()
    if pair.rankings is None or any(not line.ranking for _, line in lines):
        return None
    return [query for query, line in lines if digest_of(pair.rankings[query]) != line.ranking]
