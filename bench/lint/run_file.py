"""Checks of a TREC run file as it is written, which a reader would refuse or pass over."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.lint.findings import Check, Finding, Found, Level, found, some
from bench.lint.rankings import RANKINGS, Rankings
from qrels.data import ABSENT, Run, Suite
from qrels.files import read_data
from qrels.positions import make_run, positions
from qrels.trec import Judgements, RunRows, align

COLUMNS = 6


class RunLines(NamedTuple):
    """The lines of a run file; those without six columns are only counted.

    ranks, scores: float64 (n,), NaN where it is no number; scores as float32 holds them. lines:
    int64 (n,). known_queries, known_docs: those of suite or qrels, None where not at hand.
    """

    name: str
    query_ids: Sequence[str]
    doc_ids: Sequence[str]
    ranks: NDArray[np.float64]
    scores: NDArray[np.float64]
    lines: NDArray[np.int64]
    broken: Sequence[int]
    known_queries: frozenset[str] | None = None
    known_docs: frozenset[str] | None = None


def read_lines(path: Path, name: str) -> RunLines:
    """Every line of a run file; DataError only where it is no text at all."""
    rows, lines, broken = [], [], []
    for number, line in enumerate(read_data(path).split(b"\n"), 1):
        columns = line.split()  # bytes: at ASCII white space only, as trec_eval does
        if len(columns) == COLUMNS:
            rows.append([column.decode() for column in columns])
            lines.append(number)
        elif columns:
            broken.append(number)
    queries, _, docs, ranks, scores, _ = zip(*rows, strict=True) if rows else [()] * COLUMNS
    with np.errstate(over="ignore"):
        single = np.array([_number(text) for text in scores], np.float64).astype(np.float32)
    return RunLines(
        name, queries, docs, np.array([_number(text) for text in ranks], np.float64),
        single.astype(np.float64), np.array(lines, np.int64), broken,
    )  # fmt: skip


def lint_run(
    path: Path,
    suite: Suite | None = None,
    judgements: Judgements | None = None,
    measures: Sequence[str] = (),
) -> list[Finding]:
    """Everything found in a run file, against a suite or against judgements, or by itself."""
    lines = read_lines(path, path.name)
    if suite is not None:
        known = frozenset(suite.queries.query_ids), frozenset(suite.corpus.doc_ids)
        lines = lines._replace(known_queries=known[0], known_docs=known[1])
    elif judgements is not None:
        lines = lines._replace(known_queries=frozenset(judgements.query_ids))
    whole = whole_rows(lines)
    findings = found(LINES, lines)
    if not whole.query_ids:
        return findings
    return findings + found(RANKINGS, _rankings(whole, lines.name, suite, judgements, measures))


def _rankings(
    rows: RunRows,
    name: str,
    suite: Suite | None,
    judgements: Judgements | None,
    measures: Sequence[str],
) -> Rankings:
    if suite is not None:
        return of_suite(rows, name, suite)
    if judgements is not None:
        both = align(judgements, rows)
        return Rankings(name, both.query_ids, both.run, both.qrels, measures)
    query_ids = list(dict.fromkeys(rows.query_ids))
    docs = {doc_id: i for i, doc_id in enumerate(dict.fromkeys(rows.doc_ids))}
    return Rankings(name, query_ids, place(rows, query_ids, docs), None, measures)


def of_suite(rows: RunRows, name: str, suite: Suite) -> Rankings:
    """The rows as rankings of the suite's queries; documents that it lacks come after others."""
    n_docs, extra = len(suite.corpus), suite.qrels.extra_doc_ids
    after = {doc_id: n_docs + i for i, doc_id in enumerate(extra)}
    docs = {
        doc_id: suite.corpus.positions.get(doc_id, after.get(doc_id, n_docs + len(extra) + i))
        for i, doc_id in enumerate(dict.fromkeys(rows.doc_ids))
    }
    run = place(rows, suite.queries.query_ids, docs)
    return Rankings(name, suite.queries.query_ids, run, suite.qrels, suite.measures, n_docs)


def place(rows: RunRows, query_ids: Sequence[str], docs: Mapping[str, int]) -> Run:
    """The rows as rankings of *query_ids*, others left out; docs: the position of each document."""
    table = {query_id: i for i, query_id in enumerate(query_ids)}
    queries = np.array([table.get(query_id, ABSENT) for query_id in rows.query_ids], np.int64)
    names, which = positions(rows.doc_ids)
    here = queries != ABSENT
    run = make_run(queries[here], which[here], rows.scores[here], len(table), names)
    places = np.array([docs[name] for name in names], np.int32)
    return Run(np.where(run.docs == ABSENT, ABSENT, places[run.docs]).astype(np.int32), run.scores)


def whole_rows(lines: RunLines) -> RunRows:
    """The rows that can be ranked: with a finite score, and each document where it comes first."""
    seen: set[tuple[str, str]] = set()
    kept = []
    pairs = zip(lines.query_ids, lines.doc_ids, strict=True)
    for i, (pair, fine) in enumerate(zip(pairs, np.isfinite(lines.scores), strict=True)):
        if fine and pair not in seen:
            seen.add(pair)
            kept.append(i)
    return RunRows(
        [lines.query_ids[i] for i in kept],
        [lines.doc_ids[i] for i in kept],
        lines.scores[kept].astype(np.float32),
        lines.name,
    )


def broken_lines(run: RunLines) -> Iterator[Found]:
    if run.broken:
        at = f"line {run.broken[0]} for one"
        yield "error", f"{run.name}: {len(run.broken):,} lines have not {COLUMNS} columns, {at}"


def no_number(run: RunLines) -> Iterator[Found]:
    bad = np.flatnonzero(~np.isfinite(run.scores))
    if bad.size:
        at = f"line {run.lines[bad[0]]} for one"
        yield "error", f"{run.name}: {bad.size:,} scores are not finite 32-bit numbers, {at}"


def twice(run: RunLines) -> Iterator[Found]:
    counts = Counter(zip(run.query_ids, run.doc_ids, strict=True))
    again = [pair for pair, count in counts.items() if count > 1]
    if again:
        query, doc = again[0]
        yield (
            "error",
            f"{run.name}: {len(again):,} documents stand twice in a ranking, {doc!r} of query "
            f"{query!r} for one",
        )


def ranks_and_scores(run: RunLines) -> Iterator[Found]:
    """A higher score at a lower place, in the order of the rank column; ties may be either way."""
    names, queries = positions(run.query_ids)
    order = np.lexsort((run.ranks, queries))
    order = order[np.isfinite(run.scores[order])]
    wrong = (np.diff(queries[order]) == 0) & (np.diff(run.scores[order]) > 0)
    rows = np.unique(queries[order][1:][wrong]).tolist()
    if rows:
        what = f"ranks and scores disagree in {len(rows):,} of {len(names):,} queries"
        yield "warning", f"{run.name}: {what}: {some([names[row] for row in rows])}"


def unknown_docs(run: RunLines) -> Iterator[Found]:
    if run.known_docs is not None:
        strange = [name for name in dict.fromkeys(run.doc_ids) if name not in run.known_docs]
        if strange:
            count = f"{len(strange):,} documents are not in the corpus"
            yield "error", f"{run.name}: {count}: {some(strange)}"


def unknown_queries(run: RunLines) -> Iterator[Found]:
    if run.known_queries is not None:
        names = list(dict.fromkeys(run.query_ids))
        strange = [name for name in names if name not in run.known_queries]
        if strange:
            level: Level = "error" if len(strange) == len(names) else "warning"
            yield level, f"{run.name}: {len(strange):,} queries are not known: {some(strange)}"


def _number(text: str) -> float:
    try:
        return float(text) if "_" not in text else np.nan
    except ValueError:
        return np.nan


LINES: Sequence[Check[RunLines]] = (
    Check(
        "F1", "lines of a run file without six columns",
        "write `query_id Q0 doc_id rank score tag`; no id may hold white space", broken_lines,
    ),
    Check(
        "F2", "scores that are NaN, infinite or no number",
        "mend the retriever: such a document has no place in the order", no_number,
    ),
    Check(
        "F3", "the same document twice in a ranking",
        "keep the better place: a relevant document must not count twice", twice,
    ),
    Check(
        "F4", "ranks that disagree with the scores",
        "sort by score: measures follow the scores and never look at the rank column",
        ranks_and_scores,
    ),
    Check(
        "F5", "documents that the corpus lacks",
        "was the run made over another corpus, or over ids with a prefix?", unknown_docs,
    ),
    Check(
        "F6", "queries that suite or qrels lack",
        "they are left out of every mean; was the run made for another split?", unknown_queries,
    ),
)  # fmt: skip
