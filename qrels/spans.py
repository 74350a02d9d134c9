"""Judgements of passages: spans of text that outlive the chunks they are projected to.

A file has the columns query-id, corpus-id, start, end, score and, where it was stamped, checksum,
separated by tabs, under a header. start and end count characters of the document's text.
"""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.chunks import Chunks
from qrels.data import ABSENT, Corpus, Qrels
from qrels.errors import DataError, unknown
from qrels.files import read_data, shown, write_whole
from qrels.positions import make_qrels

HEADER = ("query-id", "corpus-id", "start", "end", "score")
CHECKSUM = "checksum"
GRADES = np.iinfo(np.int16)


@dataclass(frozen=True)
class Span:
    """Characters start to end of a document, judged for a query; checksum of them, or ""."""

    query_id: str
    doc_id: str
    start: int
    end: int
    grade: int
    checksum: str = ""


class Drift(NamedTuple):
    """A span whose text is no longer what was judged, and why."""

    span: Span
    reason: str


def read_spans(path: Path | str) -> list[Span]:
    """The spans in a TSV file; DataError, with file and line, for anything that is none."""
    path = Path(path)
    rows = list(csv.reader(io.StringIO(read_data(path).decode(), newline=""), _Tabs))
    if tuple(rows[0][:5]) != HEADER or rows[0][5:] not in ([], [CHECKSUM]):
        expected = "\\t".join(HEADER)
        raise DataError(f"{path}:1: {shown(rows[0])}; expected {expected}, perhaps \\t{CHECKSUM}")
    return [_span(row, f"{path}:{line}") for line, row in enumerate(rows[1:], 2) if row]


def write_spans(path: Path | str, spans: Sequence[Span]) -> None:
    """Write *spans* so that `read_spans` gives them back; whole or not at all."""
    lines = ["\t".join((*HEADER, CHECKSUM))]
    for span in spans:
        cells = (span.query_id, span.doc_id, span.start, span.end, span.grade, span.checksum)
        if bad := [cell for cell in cells[:2] if set("\t\r\n") & set(str(cell))]:
            raise DataError(f"{path}: id {shown(bad[0])} holds a tab or a line end")
        lines.append("\t".join(map(str, cells)))
    write_whole(Path(path), "\n".join(lines) + "\n")


def stamped(spans: Sequence[Span], corpus: Corpus, field: str = "text") -> list[Span]:
    """The spans with the checksums of their texts; DataError where one is out of its document."""
    found = []
    for span in spans:
        text = _text(span, corpus, field)
        if text is None:
            raise DataError(f"{_name(span)}: the corpus holds no such text")
        found.append(replace(span, checksum=checksum(text)))
    return found


def checksum(text: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of *text* as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def drift(spans: Sequence[Span], corpus: Corpus, field: str = "text") -> list[Drift]:
    """The spans whose text changed since they were stamped, or is gone; others do not drift."""
    found = []
    for span in spans:
        text = _text(span, corpus, field)
        if corpus.positions.get(span.doc_id) is None:
            found.append(Drift(span, "the document is gone"))
        elif text is None:
            found.append(Drift(span, "the document is shorter now"))
        elif span.checksum and checksum(text) != span.checksum:
            found.append(Drift(span, "the text is another"))
    return found


def drift_report(spans: Sequence[Span], corpus: Corpus, field: str = "text") -> str:
    """What drifted, in lines: a count, then a span and its reason each."""
    found = drift(spans, corpus, field)
    unstamped = sum(not span.checksum for span in spans)
    head = f"{len(found)} of {len(spans)} spans drifted"
    head += f"; {unstamped} have no checksum" if unstamped else ""
    return "\n".join([head, *(f"{_name(item.span)}: {item.reason}" for item in found)])


def project(
    spans: Sequence[Span], chunks: Chunks, query_ids: Sequence[str], share: float = 0.5
) -> Qrels:
    """The spans as judgements of the chunks, whatever they are; the queries in that order.

    A chunk is judged where at least *share* of the shorter of it and the span is in both; the
    chunk that shares most with a span always is (the first of equals). Where several spans of a
    query are in a chunk the highest grade counts. Documents that the corpus lacks are left out.
    Raises DataError for a span that no chunk has a character of, UsageError for a query that
    *query_ids* lack.
    """
    rows = {query_id: row for row, query_id in enumerate(query_ids)}
    best: dict[tuple[int, int], int] = {}
    for span in spans:
        if span.query_id not in rows:
            raise unknown("query", span.query_id, query_ids)
        for chunk in _judged(span, chunks, share):
            key = rows[span.query_id], int(chunk)
            best[key] = max(best.get(key, span.grade), span.grade)
    pairs = np.array(list(best), np.int64).reshape(-1, 2)
    grades = np.array(list(best.values()), np.int16)
    return make_qrels(pairs[:, 0], pairs[:, 1], grades, len(query_ids))


def _judged(span: Span, chunks: Chunks, share: float) -> NDArray[np.int64]:
    """The positions of the chunks that *span* judges."""
    document = chunks.documents.positions.get(span.doc_id, ABSENT)
    if document == ABSENT:
        return np.zeros(0, np.int64)
    first, last = np.searchsorted(chunks.doc_of, [document, document + 1])
    starts, ends = chunks.starts[first:last], chunks.ends[first:last]
    common = np.minimum(ends, span.end) - np.maximum(starts, span.start)
    if common.max() <= 0:
        raise DataError(f"{_name(span)}: no chunk holds any of it")
    enough = common >= share * np.minimum(ends - starts, span.end - span.start)
    enough &= common > 0
    enough[common.argmax()] = True
    return np.flatnonzero(enough) + int(first)


def _text(span: Span, corpus: Corpus, field: str) -> str | None:
    """The text of *span*, None where the document is missing or ends before it."""
    if field not in corpus.fields:
        raise unknown("field", field, corpus.fields)
    position = corpus.positions.get(span.doc_id)
    if position is None:
        return None
    text = corpus.fields[field][position]
    return text[span.start : span.end] if span.end <= len(text) else None


def _name(span: Span) -> str:
    return f"{span.query_id}, {span.doc_id} {span.start}-{span.end}"


class _Tabs(csv.excel_tab):
    quoting = csv.QUOTE_NONE
    lineterminator = "\n"


def _span(row: Sequence[str], where: str) -> Span:
    if len(row) not in (5, 6):
        raise DataError(f"{where}: expected 5 or 6 columns, got {len(row)}")
    start, end, grade = (_integer(cell, where) for cell in row[2:5])
    if not row[0] or not row[1]:
        raise DataError(f"{where}: an id is empty")
    if not 0 <= start < end:
        raise DataError(f"{where}: start {start}, end {end}; expected 0 <= start < end")
    if not GRADES.min < grade <= GRADES.max:
        raise DataError(f"{where}: score {grade}; allowed: {GRADES.min + 1} to {GRADES.max}")
    return Span(row[0], row[1], start, end, grade, *row[5:])


def _integer(cell: str, where: str) -> int:
    digits = cell.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise DataError(f"{where}: {shown(cell)} is not a whole number")
    return int(cell)
