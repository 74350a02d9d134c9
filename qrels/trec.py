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

from qrels.coded import Coded
from qrels.data import ABSENT, UNJUDGED, Qrels, Run
from qrels.errors import DataError
from qrels.files import FAST_FROM, read_data, write_whole
from qrels.positions import make_qrels, make_run, positions

NEWLINE, SPACE = 10, 32
PLAIN = b"0123456789+-.eE\n"
"""What most scores are made of; in such text Python reads bytes and strings alike."""

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

    query_ids: Sequence[str]
    doc_ids: Sequence[str]
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
    """The columns of a file as they are written, with the line each row is on.

    last: the last column of the first row.
    """

    queries: list[bytes]
    docs: list[bytes]
    values: list[bytes]
    lines: NDArray[np.int64]
    last: str


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
    data = read_data(Path(path))
    at = len(data) - len(data.lstrip())
    first = data[data.rfind(b"\n", 0, at) + 1 :].partition(b"\n")[0]
    header = tuple(column.strip().decode() for column in first.split(b"\t"))
    table = _table(data, _BEIR if header == BEIR_HEADER else _QRELS, path)
    readings = {text: _grade(text) for text in set(table.values)}
    grades = np.array([readings[text] for text in table.values], np.int64)
    if (bad := np.flatnonzero(grades == UNJUDGED)).size:
        raise DataError(
            f"{path}:{table.lines[bad[0]]}: grade {table.values[bad[0]].decode()!r}; "
            "expected an integer from -32767 to 32767"
        )
    queries, docs = _decoded(table.queries), _decoded(table.docs)
    check_pairs(queries, docs, table.lines, path)
    return Judgements(queries, docs, grades.astype(np.int16), table.lines, str(path))


def read_run(path: Path | str) -> RunRows:
    """The rows of a TREC run; the rank column is ignored, as trec_eval does.

    Raises DataError, with file and line, for a score that is not a finite float32, a document
    twice in a ranking, or a line without six columns.
    """
    if (large := _large(Path(path))) is not None:
        return large
    table = _table(read_data(Path(path)), _RUN, path)
    with np.errstate(over="ignore"):
        scores = np.array(_scores(table.values)).astype(np.float32)
    if (bad := np.flatnonzero(~np.isfinite(scores))).size:
        raise DataError(
            f"{path}:{table.lines[bad[0]]}: score {table.values[bad[0]].decode()!r}; "
            "expected a finite 32-bit number"
        )
    queries, docs = _coded(table.queries), _coded(table.docs)
    check_pairs(queries, docs, table.lines, path)
    return RunRows(queries, docs, scores, table.last)


def _large(path: Path) -> RunRows | None:
    """The rows of a large regular run; None for any other."""
    if not path.is_file() or path.stat().st_size < FAST_FROM:
        return None
    from qrels.fast_corpus import Refused  # threads and gzip take a while to load
    from qrels.fast_run import fast_run

    try:
        return RunRows(*fast_run(path))
    except Refused:
        return None


def align(judgements: Judgements, rows: RunRows) -> Aligned:
    """Qrels and run over the same positions; rankings by the one tie rule, depth the longest.

    Queries are those of the qrels, in order of first appearance: one that the run lacks keeps an
    empty ranking. Documents are those of either, the judged first.
    """
    query_ids, judged = positions(judgements.query_ids)
    judged_ids, judged_docs = positions(judgements.doc_ids)
    doc_ids, docs = positions(rows.doc_ids, first=judged_ids)
    qrels = make_qrels(judged, judged_docs, judgements.grades, len(query_ids))
    names, ranked = positions(rows.query_ids, first=query_ids)
    known = ranked < len(query_ids)
    if not known.all():
        ranked, docs, scores = ranked[known], docs[known], rows.scores[known]
    else:
        scores = rows.scores
    run = make_run(ranked, docs, scores, len(query_ids), doc_ids)
    return Aligned(query_ids, doc_ids, qrels, run, len(names) - len(query_ids))


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
    alone = np.sort(pairs)
    if not (alone[1:] == alone[:-1]).any():
        return
    order = np.argsort(pairs, kind="stable")
    again = np.flatnonzero(np.diff(pairs[order]) == 0)
    if again.size:
        first, second = min(zip(order[again], order[again + 1], strict=True), key=lambda p: p[1])
        raise DataError(
            f"{source}:{lines[second]}: document {doc_ids[second]!r} was already given for "
            f"query {query_ids[second]!r} on line {lines[first]}"
        )


def _table(data: bytes, form: _Form, path: Path | str) -> _Table:
    """The columns of all lines that are not blank, but for BEIR's header."""
    if form is not _BEIR and (width := form.width) and _is_regular(data, width):
        columns = data.split()
        n = len(columns) // width
        queries, docs, values = (columns[i::width] for i in (form.query, form.doc, form.value))
        last = columns[width - 1].decode()
        return _Table(queries, docs, values, np.arange(1, n + 1), last)
    return _line_by_line(data.split(b"\n"), form, path)


def _is_regular(data: bytes, width: int) -> bool:
    """Whether each line is *width* columns with one space between, which can be split at once."""
    letters = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", np.uint8)
    blanks = np.flatnonzero(letters <= SPACE)  # and, rarely, what splits no columns
    if len(blanks) % width or (blanks[1:] - blanks[:-1] == 1).any() or blanks[0] == 0:
        return False
    expected = np.full(width, SPACE, np.uint8)
    expected[-1] = NEWLINE
    return bool((letters[blanks].reshape(-1, width) == expected).all())


def _line_by_line(lines: list[bytes], form: _Form, path: Path | str) -> _Table:
    queries, docs, values, numbers, last = [], [], [], [], ""
    header = form is _BEIR
    for number, line in enumerate(lines, 1):
        columns = form.split(line)
        if header and line.strip():
            header = False
            continue
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
        last = last or columns[-1].decode()
    if not numbers:
        raise DataError(f"{path}: holds a header and no judgements")
    for ids in (queries, docs):
        if b"" in ids:
            raise DataError(f"{path}:{numbers[ids.index(b'')]}: an id is empty")
    return _Table(queries, docs, values, np.array(numbers, np.int64), last)


def _hint(form: _Form, line: bytes) -> str:
    if form is _QRELS and len(line.split()) == 3:
        return rf"; BEIR's form needs the header {_BEIR.columns}"
    return ""


def _decoded(column: list[bytes]) -> list[str]:
    return b"\n".join(column).decode().split("\n")  # one decoding is five times faster than n


def _coded(column: list[bytes]) -> Coded:
    names, which = positions(column)
    return Coded(_decoded(names), which.astype(np.int32))


def _grade(text: bytes) -> int:
    """The grade, UNJUDGED where it is not one; Python's own int would take 1_0 for ten."""
    if not re.fullmatch(rb"\s*[+-]?[0-9]{1,9}\s*", text):
        return UNJUDGED
    grade = int(text)
    return grade if UNJUDGED < grade <= -UNJUDGED - 1 else UNJUDGED


def _scores(texts: Sequence[bytes]) -> list[float]:
    """All scores, NaN for what is no number."""
    joined = b"\n".join(texts)
    if not joined.translate(None, PLAIN):
        try:
            return list(map(float, joined.decode().split("\n")))  # four times faster than bytes
        except ValueError:
            pass
    return list(map(_score, texts))


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
