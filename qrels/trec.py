"""Qrels (TREC and BEIR form) and TREC runs: reading, joining by id, writing.

Columns are separated as trec_eval does it, by ASCII white space, so that an id may hold any other
character; the three columns of BEIR's form are separated by tabs. Files may be gzip.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.data import ABSENT, UNJUDGED, Qrels, Run
from qrels.errors import DataError
from qrels.files import read_data, write_whole
from qrels.positions import make_qrels, make_run, positions

BEIR_HEADER = ("query-id", "corpus-id", "score")


class Judgements(NamedTuple):
    """The rows of a qrels file in file order; all of length n.

    grades: int16; lines: int64, each row's line in the file called source.
    """

    query_ids: list[str]
    doc_ids: list[str]
    grades: NDArray[np.int16]
    lines: NDArray[np.int64]
    source: str


class RunRows(NamedTuple):
    """The rows of a run file in file order; scores float32 (n,); tag is the first row's."""

    query_ids: list[str]
    doc_ids: list[str]
    scores: NDArray[np.float32]
    tag: str


class Aligned(NamedTuple):
    """Qrels and run over the same positions: queries of the qrels, documents of either.

    extra_queries: how many queries of the run were left out because the qrels lack them.
    """

    query_ids: list[str]
    doc_ids: list[str]
    qrels: Qrels
    run: Run
    extra_queries: int


class _Form(NamedTuple):
    """Where a line's columns are: how it is split, into how many, and which hold what."""

    split: Callable[[bytes], list[bytes]]
    width: int
    query: int
    doc: int
    value: int
    columns: str


class _Table(NamedTuple):
    """The columns of a file as they are written, with the line each row is on."""

    queries: list[str]
    docs: list[str]
    values: list[bytes]
    lines: NDArray[np.int64]


_QRELS = _Form(bytes.split, 4, 0, 2, 3, "query_id 0 doc_id grade")
_RUN = _Form(bytes.split, 6, 0, 2, 4, "query_id Q0 doc_id rank score tag")
_BEIR = _Form(
    lambda line: line.rstrip(b"\r").split(b"\t"), 3, 0, 1, 2, r"query-id\tcorpus-id\tscore"
)


def read_judgements(path: Path | str) -> Judgements:
    r"""The rows of a qrels file: BEIR's form where its header is there, else TREC's.

    Grades are integers from -32767 to 32767, as given. Raises DataError, with file and line, for
    anything else and where a query and document are paired twice.
    """
    lines = read_data(Path(path)).split(b"\n")
    first = next(i for i, line in enumerate(lines) if line.strip())
    header = [column.strip().decode() for column in lines[first].split(b"\t")]
    form = _QRELS
    if tuple(header) == BEIR_HEADER:
        form, lines[first] = _BEIR, b""
    table = _table(lines, form, path)
    readings = {text: _grade(text) for text in set(table.values)}
    grades = np.array([readings[text] for text in table.values], np.int64)
    if (bad := np.flatnonzero(grades == UNJUDGED)).size:
        raise DataError(
            f"{path}:{table.lines[bad[0]]}: grade {table.values[bad[0]].decode()!r}; "
            "expected an integer from -32767 to 32767"
        )
    check_pairs(table.queries, table.docs, table.lines, path)
    return Judgements(table.queries, table.docs, grades.astype(np.int16), table.lines, str(path))


def read_run(path: Path | str) -> RunRows:
    """The rows of a TREC run; the rank column is ignored, as trec_eval does.

    Raises DataError, with file and line, for a score that is not a finite float32, a document
    twice in a ranking, or a line without six columns.
    """
    lines = read_data(Path(path)).split(b"\n")
    table = _table(lines, _RUN, path)
    with np.errstate(over="ignore"):
        scores = np.array([_score(text) for text in table.values]).astype(np.float32)
    if (bad := np.flatnonzero(~np.isfinite(scores))).size:
        raise DataError(
            f"{path}:{table.lines[bad[0]]}: score {table.values[bad[0]].decode()!r}; "
            "expected a finite 32-bit number"
        )
    check_pairs(table.queries, table.docs, table.lines, path)
    tag = lines[table.lines[0] - 1].split()[-1].decode()
    return RunRows(table.queries, table.docs, scores, tag)


def align(judgements: Judgements, rows: RunRows) -> Aligned:
    """Qrels and run over the same positions; rankings by the one tie rule, depth the longest.

    Queries are those of the qrels, in order of first appearance: one that the run lacks keeps an
    empty ranking. Documents are those of either, the judged first.
    """
    query_ids, judged = positions(judgements.query_ids)
    doc_ids, docs = positions(judgements.doc_ids + rows.doc_ids)
    n_judged = len(judged)
    qrels = make_qrels(judged, docs[:n_judged], judgements.grades, len(query_ids))
    table = {query_id: i for i, query_id in enumerate(query_ids)}
    ranked = np.array([table.get(query_id, ABSENT) for query_id in rows.query_ids], np.int64)
    known = ranked != ABSENT
    run = make_run(
        ranked[known], docs[n_judged:][known], rows.scores[known], len(query_ids), doc_ids
    )
    return Aligned(query_ids, doc_ids, qrels, run, len(set(rows.query_ids) - table.keys()))


def write_run(
    path: Path | str, query_ids: Sequence[str], doc_ids: Sequence[str], run: Run, tag: str
) -> None:
    """Write *run* as a TREC run: scores with 9 significant digits, which give float32 back exactly.

    Gzip where the name ends in .gz. Padding is left out, so that a query without documents has no
    line. Raises DataError for an id that six columns cannot carry.
    """
    used = np.unique(run.docs[run.docs != ABSENT]).tolist()
    _check_ids([*query_ids, *(doc_ids[doc] for doc in used), tag], _SPACE, path)
    lines = [
        f"{query_id} Q0 {doc_ids[doc]} {rank} {score:.9g} {tag}\n"
        for query_id, docs, scores in zip(
            query_ids, run.docs.tolist(), run.scores.tolist(), strict=True
        )
        for rank, (doc, score) in enumerate(zip(docs, scores, strict=True), 1)
        if doc != ABSENT
    ]
    write_whole(Path(path), "".join(lines))


def write_qrels(
    path: Path | str, query_ids: Sequence[str], doc_ids: Sequence[str], grades: Iterable[int]
) -> None:
    """Write the rows in BEIR's form where the name ends in .tsv or .tsv.gz, else in TREC's.

    Raises DataError for an id that the form cannot carry.
    """
    beir = Path(path).name.removesuffix(".gz").endswith(".tsv")
    _check_ids([*query_ids, *doc_ids], _TABS if beir else _SPACE, path)
    lines = ["\t".join(BEIR_HEADER) + "\n"] if beir else []
    line = "{}\t{}\t{}\n" if beir else "{} 0 {} {}\n"
    lines += map(line.format, query_ids, doc_ids, grades)
    write_whole(Path(path), "".join(lines))


def check_pairs(
    query_ids: Sequence[str], doc_ids: Sequence[str], lines: NDArray[np.int64], source: Path | str
) -> None:
    """DataError where a query and a document are paired twice, naming both lines of *source*."""
    names, docs = positions(doc_ids)
    pairs = positions(query_ids)[1] * len(names) + docs
    order = np.argsort(pairs, kind="stable")
    again = np.flatnonzero(np.diff(pairs[order]) == 0)
    if again.size:
        first, second = min(zip(order[again], order[again + 1], strict=True), key=lambda p: p[1])
        raise DataError(
            f"{source}:{lines[second]}: document {doc_ids[second]!r} was already given for "
            f"query {query_ids[second]!r} on line {lines[first]}"
        )


def _table(lines: list[bytes], form: _Form, path: Path | str) -> _Table:
    """The columns of all lines that are not blank."""
    queries, docs, values, numbers = [], [], [], []
    for number, line in enumerate(lines, 1):
        columns = form.split(line)
        if len(columns) != form.width:
            if not line.strip():
                continue
            raise DataError(
                f"{path}:{number}: expected {form.width} columns, {form.columns}; "
                f"got {len(columns)}{_hint(form, line)}"
            )
        queries.append(columns[form.query])
        docs.append(columns[form.doc])
        values.append(columns[form.value])
        numbers.append(number)
    if not numbers:
        raise DataError(f"{path}: holds a header and no judgements")
    for ids in (queries, docs):
        if b"" in ids:
            raise DataError(f"{path}:{numbers[ids.index(b'')]}: an id is empty")
    return _Table(_decoded(queries), _decoded(docs), values, np.array(numbers, np.int64))


def _hint(form: _Form, line: bytes) -> str:
    if form is _QRELS and len(line.split()) == 3:
        return rf"; BEIR's form needs the header {_BEIR.columns}"
    return ""


def _decoded(column: list[bytes]) -> list[str]:
    return b"\n".join(column).decode().split("\n")  # one decoding is five times faster than n


def _grade(text: bytes) -> int:
    """The grade, UNJUDGED where it is not one; Python's own int would take 1_0 for ten."""
    if not re.fullmatch(rb"\s*[+-]?[0-9]{1,9}\s*", text):
        return UNJUDGED
    grade = int(text)
    return grade if UNJUDGED < grade <= -UNJUDGED - 1 else UNJUDGED


def _score(text: bytes) -> float:
    """The score, NaN where it is not a number; Python's own float would take 1_0 for ten."""
    try:
        return float(text) if b"_" not in text else np.nan
    except ValueError:
        return np.nan


_SPACE = re.compile(r"[ \t\n\v\f\r]|^\ufeff|^\Z")
_TABS = re.compile(r"[\t\n\r]|^\Z")


def _check_ids(ids: Iterable[str], refused: re.Pattern[str], path: Path | str) -> None:
    for name in ids:
        if refused.search(name):
            kind = "white space" if refused is _SPACE else "tabs or line breaks"
            raise DataError(
                f"{path}: this format cannot carry the id {name!r}; expected one that is not "
                f"empty, has no {kind} and does not start with a BOM"
            )
