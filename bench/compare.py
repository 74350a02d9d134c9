"""Systems compared on the same queries, wherever their results come from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.metrics import named
from bench.runner import comparisons, interval
from bench.sources import Rankings, Source, loadable
from qrels.data import UNJUDGED, Suite
from qrels.errors import DataError, UsageError
from reports.comparison import Place, QueryComparison
from reports.record import Cell, Record, SuiteInfo, SystemInfo

BEST = 10
"""How many documents of each ranking are shown."""

SAME = ("digest", "depth", "relevance_level", "exclude_self", "query_ids")
WORDS = {
    "digest": "labels or corpus (digest)", "depth": "depth", "query_ids": "queries",
    "relevance_level": "relevance level", "exclude_self": "rule on the own document",
}  # fmt: skip


def combined(
    found: Sequence[Source], measures: Sequence[str] = (), seed: int = 13, alpha: float = 0.05
) -> tuple[Record, dict[tuple[str, str, str], Source]]:
    """One record of everything *found*, compared, and by (suite, split, label) where it is from.

    A suite that fewer than two systems share is left out. Raises DataError where the same suite
    was judged or searched otherwise, UsageError where nothing is left or a measure is missing.
    """
    groups: dict[tuple[str, str], list[Source]] = {}
    for source in found:
        groups.setdefault((source.suite.name, source.suite.split), []).append(source)
    groups = {key: group for key, group in groups.items() if len(group) > 1}
    if not groups:
        raise UsageError(
            "nothing to compare: give at least two systems of one suite and split; found "
            + (", ".join(f"{s.cell.system} on {s.suite.name} ({s.suite.split})" for s in found)
               or "none")
        )  # fmt: skip
    origins: dict[tuple[str, str, str], Source] = {}
    suites, cells = [], []
    for group in groups.values():
        suite = shared(group, measures)
        suites.append(suite)
        for label, source in zip(labels(group), group, strict=True):
            origins[suite.name, suite.split, label] = source
            cells.append(relabelled(source.cell, label, suite.measures, seed))
    return (
        Record(
            status="complete",
            name="comparison",
            created="",
            command="",
            seed=seed,
            environment={},
            suites=tuple(suites),
            systems=tuple(
                SystemInfo(name, "", {}, None, {}, None, {})
                for name in dict.fromkeys(cell.system for cell in cells)
            ),
            cells=tuple(cells),
            comparisons=tuple(
                one for suite in suites for one in comparisons(suite, cells, seed, alpha)
            ),
            examples=(),
        ),
        origins,
    )


def shared(group: Sequence[Source], measures: Sequence[str]) -> SuiteInfo:
    """The suite of a group with the measures that all have, or those asked for.

    A binary measure asked for without a relevance level has the suite's. DataError names both
    sides and what differs, where it is not the same suite.
    """
    first = group[0]
    for other in group[1:]:
        for key in SAME:
            before, after = getattr(first.suite, key), getattr(other.suite, key)
            if before != after:
                sides = "" if key == "query_ids" else f": {before} and {after}"
                raise DataError(
                    f"{first.given} and {other.given} cannot be compared on "
                    f"{first.suite.name} ({first.suite.split}): other {WORDS[key]}{sides}"
                )
    common = [
        name for name in first.suite.measures if all(name in one.cell.values for one in group)
    ]
    level = first.suite.relevance_level
    asked = tuple(dict.fromkeys(named(name, level) for name in measures))
    for name in asked:
        if name not in common:
            raise UsageError(
                f"{name} is not among the measures that all have on {first.suite.name}: "
                f"{', '.join(common)}"
            )
    if not common:
        raise UsageError(f"no measure on {first.suite.name} is common to all")
    return replace(first.suite, measures=asked or tuple(common))


def labels(group: Sequence[Source]) -> list[str]:
    """A name for each, all different: the system's, with the folder's where two share it.

    Where the folders share a name too their paths are given; of a run file, its path alone.
    """
    names = [source.cell.system for source in group]
    if len(set(names)) < len(names):
        names = [f"{folder_of(source).name}:{source.cell.system}" for source in group]
    if len(set(names)) < len(names):
        names = [
            str(source.origin)
            if source.origin.is_file()
            else f"{source.origin}:{source.cell.system}"
            for source in group
        ]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name} is given twice")
    return names


def folder_of(source: Source) -> Path:
    return source.origin.parent if source.origin.is_file() else source.origin


def relabelled(cell: Cell, label: str, measures: Sequence[str], seed: int) -> Cell:
    """The cell under its new name with these measures, intervals made anew with one seed."""
    values = {name: cell.values[name] for name in measures}
    means = {name: interval(np.array(found), seed) for name, found in values.items()}
    return replace(cell, system=label, values=values, means=means)


def queries_of(
    record: Record,
    suite: SuiteInfo,
    origins: Mapping[tuple[str, str, str], Source],
    shown: int,
    given: str | None = None,
) -> Iterator[QueryComparison]:
    """The queries that make most of the difference between the first two systems, largest first.

    By the suite's first measure. given: where the suite is, for grades and titles, if not shipped.
    """
    here = (suite.name, suite.split)
    a, b, *_ = [cell for cell in record.cells if (cell.suite, cell.split) == here]
    rankings = [origins[*here, cell.system].rankings() for cell in (a, b)]
    at_hand = loadable(suite, given)
    measure = suite.measures[0]
    difference = np.array(a.values[measure]) - np.array(b.values[measure])
    order = np.argsort(-np.abs(difference), kind="stable")
    for row in order[:shown].tolist():
        if difference[row] == 0:
            return
        query = suite.query_ids[row]
        yield QueryComparison(
            query_id=query,
            text=suite.texts[row] if suite.texts else None,
            kind=suite.kinds[row],
            values=(a.values[measure][row], b.values[measure][row]),
            share=float(difference[row] / len(difference)),
            rankings=(
                tuple(places(rankings[0], rankings[1], query, row, at_hand)),
                tuple(places(rankings[1], rankings[0], query, row, at_hand)),
            ),
        )


def places(
    mine: Rankings, other: Rankings, query: str, row: int, suite: Suite | None
) -> Iterator[Place]:
    """The first documents of a ranking: grade, title, and the rank in the other one."""
    ranks = {doc: rank for rank, doc in enumerate(other[query], 1)}
    for doc in mine[query][:BEST]:
        yield Place(
            doc_id=doc,
            grade=grade_of(suite, row, doc) if suite else None,
            title=title_of(suite, doc) if suite else None,
            other_rank=ranks.get(doc),
        )


def grade_of(suite: Suite, row: int, doc: str) -> int | None:
    """The grade of a document for the query in *row*, None where it has none."""
    position = suite.corpus.positions.get(doc)
    start, stop = suite.qrels.indptr[row : row + 2]
    judged = suite.qrels.docs[start:stop] == position
    grade = int(suite.qrels.grades[start:stop][judged][0]) if judged.any() else UNJUDGED
    return None if grade == UNJUDGED else grade


def title_of(suite: Suite, doc: str) -> str | None:
    """The document's first field that is not empty."""
    position = suite.corpus.positions.get(doc)
    if position is None:
        return None
    return next((t[position] for t in suite.corpus.fields.values() if t[position]), None)
