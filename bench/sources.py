"""Results to compare, wherever they come from: systems of records, and TREC run files."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.about import suite_info
from bench.evaluate import DEFAULTS
from bench.gate.baseline import rankings_of
from bench.metrics import parse_measure
from bench.runner import interval, measure_run
from bench.system import drop, own_documents
from qrels.data import ABSENT, Corpus, Queries, Run, Suite
from qrels.errors import DataError, UsageError, unknown
from qrels.positions import make_run, positions
from qrels.suites import load_suite, shipped
from qrels.trec import RunRows, align, read_judgements, read_run
from reports.record import Cell, RecordError, SuiteInfo, load

Rankings = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Source:
    """One system's values on one suite. rankings gives ids by query, best first, once asked.

    origin: the folder or file it comes from; given: the argument that named it.
    """

    suite: SuiteInfo
    cell: Cell
    rankings: Callable[[], Rankings]
    origin: Path
    given: str


def sources(
    arguments: Sequence[str],
    qrels: Path | None = None,
    suite: str | None = None,
    split: str | None = None,
    measures: Sequence[str] = (),
    seed: int = 13,
) -> list[Source]:
    """Everything that the arguments name: `DIR[:SYSTEM]`, record.json[:SYSTEM], or a run file.

    qrels, suite: what run files are measured on; suite and split also choose among a record's.
    Failed cells are left out; to name one is a UsageError. Raises UsageError or DataError for
    what cannot be read.
    """
    found: list[Source] = []
    judged = _judged(qrels, suite, split, measures)
    only = judged.name if isinstance(judged, Suite) else Path(suite).name if suite else None
    for argument in arguments:
        path, system = split_argument(argument)
        if path.is_dir() or path.suffix == ".json":
            found += _of_record(path, system, argument, only, split)
        elif system is not None:
            raise UsageError(f"{argument!r}: a run file has no systems to choose from")
        elif judged is None:
            if suite is not None:
                load_suite(suite, split)  # says what is wrong with it
            raise UsageError(f"{path} is a run file: give --qrels FILE or --suite NAME with it")
        else:
            found.append(_of_run(path, argument, judged, measures, seed))
    return found


def split_argument(text: str) -> tuple[Path, str | None]:
    """The path and, behind a colon, the system that *text* names; UsageError where no path is."""
    if Path(text).exists():
        return Path(text), None
    for at, letter in enumerate(text):
        if letter == ":" and text[:at] and Path(text[:at]).exists():
            return Path(text[:at]), text[at + 1 :]
    raise UsageError(f"{text!r}: no such file or folder; expected DIR[:SYSTEM] or a run file")


def loadable(info: SuiteInfo, given: str | None = None) -> Suite | None:
    """The suite that *info* describes, where it is at hand: shipped, or *given* and the same."""
    name = given or (info.name if info.name in shipped() else None)
    if name is None:
        return None
    try:
        suite = load_suite(name, info.split)
    except UsageError:
        return None  # a name within the record, or a split that is no more
    if suite.digest == info.digest:
        return suite
    if given:
        raise DataError(
            f"{given} ({info.split}) is not what was searched: digest {suite.digest[:12]}, the "
            f"record has {info.digest[:12]}"
        )
    return None


def _of_record(
    path: Path, system: str | None, given: str, suite: str | None, split: str | None
) -> Iterator[Source]:
    try:
        record = load(path)
    except RecordError as error:
        raise DataError(str(error)) from error
    folder = path if path.is_dir() else path.parent
    names = [cell.system for cell in record.cells]
    if system is not None and system not in names:
        raise UsageError(f"{path}: {unknown('system', system, names)}")
    infos = {(info.name, info.split): info for info in record.suites}
    for cell in record.cells:
        info = infos[cell.suite, cell.split]
        if (suite or info.name) != info.name or (split or info.split) != info.split:
            continue
        if cell.system == system and cell.error is not None:
            raise UsageError(f"{given}: {system!r} failed on {info.name}: {cell.error}")
        if cell.error is None and system in (None, cell.system):
            yield Source(info, cell, _reader(cell, folder), folder, given)


def _reader(cell: Cell, folder: Path) -> Callable[[], Rankings]:
    def read() -> Rankings:
        found = rankings_of(cell, folder)
        if found is None:
            raise DataError(f"{folder}: {cell.system!r} has no run file to show rankings from")
        return found

    return read


def _judged(
    qrels: Path | None, suite: str | None, split: str | None, measures: Sequence[str]
) -> Suite | Path | None:
    """What run files are measured on: a suite, with the measures asked for, or a qrels file."""
    if qrels is not None and suite is not None:
        raise UsageError("give --qrels or --suite, not both")
    if suite is None:
        return qrels
    try:
        found = load_suite(suite, split)
    except UsageError:
        return None  # the name of a suite within a record, which need not be at hand
    level = found.rules.relevance_level
    names = [str(parse_measure(name, level)) for name in measures or found.measures]
    return replace(found, measures=names)


def _of_run(
    path: Path, given: str, judged: Suite | Path, measures: Sequence[str], seed: int
) -> Source:
    """A run file, measured on a suite or on a qrels file."""
    rows = read_run(path)
    if isinstance(judged, Suite):
        suite, (run, names) = judged, run_on(judged, rows)
        info = suite_info(suite, with_text=True)
    else:
        suite, run = _on_qrels(judged, rows, measures)
        names = suite.corpus.doc_ids
        info = replace(suite_info(suite, with_text=False), documents=0, depth=0)
    if not (run.docs != ABSENT).any():
        raise DataError(f"{path}: none of its queries is in {suite.name}")
    values = measure_run(suite, run)
    cell = Cell(
        suite=suite.name,
        split=suite.split,
        system=path.name.removesuffix(".gz").removesuffix(".trec").removesuffix(".run"),
        status="ok",
        error=None,
        values={name: tuple(found.tolist()) for name, found in values.items()},
        means={name: interval(found, seed) for name, found in values.items()},
        missing=int((run.docs == ABSENT).all(axis=1).sum()),
        run_file=path.name,
        run_digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        cost=None,
    )
    return Source(info, cell, lambda: _ranked(suite.queries.query_ids, run, names), path, given)


def _ranked(query_ids: Sequence[str], run: Run, names: Sequence[str]) -> Rankings:
    """The ids of the run by query, best first: a run file need not have them in that order."""
    return {
        query: [names[doc] for doc in docs if doc != ABSENT]
        for query, docs in zip(query_ids, run.docs.tolist(), strict=True)
    }


def run_on(suite: Suite, rows: RunRows) -> tuple[Run, Sequence[str]]:
    """The rows of a run file cut to the suite's depth, and the ids of its positions.

    Queries that the suite lacks are left out; documents that it lacks keep their place, unjudged;
    a query's own document goes where the suite has that rule.
    """
    known = [*suite.corpus.doc_ids, *suite.qrels.extra_doc_ids]
    names, docs = positions([*known, *rows.doc_ids])
    table = {query: row for row, query in enumerate(suite.queries.query_ids)}
    queries = np.array([table.get(query, ABSENT) for query in rows.query_ids], np.int64)
    keep = queries != ABSENT
    run = make_run(
        queries[keep], docs[len(known) :][keep], rows.scores[keep], len(suite.queries), names
    )
    if suite.rules.exclude_self:
        return drop(run, run.docs == own_documents(suite)[:, None], suite.depth), names
    return Run(run.docs[:, : suite.depth], run.scores[:, : suite.depth]), names


def _on_qrels(path: Path, rows: RunRows, measures: Sequence[str]) -> tuple[Suite, Run]:
    """The suite that a qrels file alone makes, without texts, and the run over it."""
    joined = align(read_judgements(path), rows)
    empty = [""] * len(joined.query_ids)
    suite = Suite(
        name=path.name,
        version="",
        split="",
        corpus=Corpus(joined.doc_ids, {}),
        queries=Queries(joined.query_ids, empty, [{}] * len(empty)),
        qrels=joined.qrels,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        measures=[str(parse_measure(name)) for name in measures or DEFAULTS],
        depth=joined.run.docs.shape[1],
    )
    return suite, joined.run
