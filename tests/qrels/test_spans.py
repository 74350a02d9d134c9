"""Judged spans: files, projection to any chunks, and what drifted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrels.chunks import chunked
from qrels.data import Corpus
from qrels.errors import DataError, UsageError
from qrels.spans import (
    Drift,
    Span,
    checksum,
    drift,
    drift_report,
    project,
    read_spans,
    stamped,
    write_spans,
)

TEXT = "aa bb cc dd ee ff"
CORPUS = Corpus(["d", "e"], {"text": [TEXT, "gg hh"]})
HEAD = "query-id\tcorpus-id\tstart\tend\tscore"


def judged(qrels, row=0):
    here = slice(*qrels.indptr[row : row + 2])
    return dict(zip(qrels.docs[here].tolist(), qrels.grades[here].tolist(), strict=True))


PROJECTED = {  # size, overlap, spans as (start, end, grade), grades by chunk
    "within": (2, 0, [(0, 2, 1)], {0: 1}),
    "whole-chunk": (2, 0, [(6, 11, 1)], {1: 1}),
    "halved": (2, 0, [(3, 8, 1)], {0: 1}),
    "mostly-in-one": (2, 0, [(0, 7, 1)], {0: 1}),
    "longer-than-chunks": (1, 0, [(0, 8, 2)], {0: 2, 1: 2, 2: 2}),
    "overlap": (2, 1, [(3, 5, 1)], {0: 1, 1: 1}),
    "highest-grade": (6, 0, [(0, 2, 1), (3, 5, 3), (6, 8, 2)], {0: 3}),
    "negative": (2, 0, [(0, 2, -1)], {0: -1}),
    "least-of-equals": (1, 0, [(0, 14, 1)], {0: 1, 1: 1, 2: 1, 3: 1, 4: 1}),
    "one-chunk": (9, 0, [(3, 5, 1)], {0: 1}),
}


@pytest.mark.parametrize(("size", "overlap", "spans", "grades"), PROJECTED.values(), ids=PROJECTED)
def test_spans_judge_the_chunks_that_hold_them(size, overlap, spans, grades):
    """Half of the shorter of both is enough, and the best chunk always is."""
    rows = [Span("q", "d", *row) for row in spans]
    assert judged(project(rows, chunked(CORPUS, size, overlap), ["q"])) == grades


@given(
    size=st.integers(1, 7),
    data=st.data(),
    place=st.tuples(st.integers(0, 5), st.integers(1, 6)).filter(lambda p: p[0] < p[1]),
)
def test_a_judgement_survives_any_chunking(size, data, place):
    """However a document is cut, a judged passage makes at least one of its chunks relevant."""
    overlap = data.draw(st.integers(0, size // 2))
    span = Span("q", "d", place[0] * 3, place[1] * 3 - 1, 2)
    chunks = chunked(CORPUS, size, overlap)
    grades = judged(project([span], chunks, ["q"]))
    assert set(grades.values()) == {2}
    common = np.minimum(chunks.ends, span.end) - np.maximum(chunks.starts, span.start)
    assert all(common[chunk] > 0 and chunks.doc_of[chunk] == 0 for chunk in grades)


def test_queries_keep_their_order_and_gone_documents_judge_nothing():
    """A query whose documents are all gone has no judgement, and is still there."""
    spans = [Span("b", "e", 0, 2, 1), Span("a", "gone", 0, 2, 1)]
    qrels = project(spans, chunked(CORPUS, 3), ["a", "b"])
    assert (judged(qrels, 0), judged(qrels, 1)) == ({}, {2: 1})


@pytest.mark.parametrize("place", [(2, 3), (90, 95)], ids=["between-chunks", "behind-the-end"])
def test_a_span_that_no_chunk_holds_is_an_error(place):
    """It names query, document and place."""
    with pytest.raises(DataError, match=f"q, d {place[0]}-{place[1]}: no chunk holds any of it"):
        project([Span("q", "d", *place, 1)], chunked(CORPUS, 1), ["q"])


def test_an_unknown_query_is_an_error():
    """It is not dropped in silence."""
    with pytest.raises(UsageError, match="unknown query 'z'"):
        project([Span("z", "d", 0, 2, 1)], chunked(CORPUS, 1), ["q"])


def test_a_file_is_read_as_it_was_written(tmp_path):
    """Ids with spaces, negative grades, with a checksum and without."""
    spans = [Span("q 1", "ü/d", 0, 12, -1, "0" * 16), Span("q", "d", 3, 4, 2)]
    write_spans(tmp_path / "spans.tsv", spans)
    assert read_spans(tmp_path / "spans.tsv") == spans
    (tmp_path / "plain.tsv").write_bytes(f"{HEAD}\r\nq\td\t1\t2\t3\r\n\r\n".encode())
    assert read_spans(tmp_path / "plain.tsv") == [Span("q", "d", 1, 2, 3)]
    with pytest.raises(DataError, match="holds a tab or a line end"):
        write_spans(tmp_path / "bad.tsv", [Span("q\tr", "d", 0, 1, 1)])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("q\td\t0\t1\t1", ":1: .*expected query-id"),
        (f"{HEAD}\nq\td\t0\t1", ":2: expected 5 or 6 columns, got 4"),
        (f"{HEAD}\nq\td\t0\t1\t1\nq\td\t0\tx\t1", ":3: 'x' is not a whole number"),
        (f"{HEAD}\nq\td\t5\t5\t1", ":2: start 5, end 5; expected 0 <= start < end"),
        (f"{HEAD}\nq\td\t-1\t5\t1", ":2: start -1"),
        (f"{HEAD}\nq\td\t0\t5\t99999", ":2: score 99999; allowed: -32767 to 32767"),
        (f"{HEAD}\n\td\t0\t5\t1", ":2: an id is empty"),
        (f"{HEAD}\nq\td\t0\t5\t²", "is not a whole number"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, error):
    """With the file, the line and what is allowed."""
    path = tmp_path / "spans.tsv"
    path.write_text(text)
    with pytest.raises(DataError, match=error):
        read_spans(path)


def test_what_drifted_is_told_apart():
    """Another text, a shorter document, a missing one; others do not drift."""
    places = [("d", 0, 2), ("d", 15, 17), ("e", 0, 2), ("d", 3, 5)]
    spans = stamped([Span("q", name, a, b, 1) for name, a, b in places], CORPUS)
    assert spans[0].checksum == checksum("aa")
    spans.append(Span("q", "d", 6, 8, 1))
    assert drift(spans, CORPUS) == []
    now = Corpus(["d"], {"text": ["xx bb cc"]})
    assert drift(spans, now) == [
        Drift(spans[0], "the text is another"),
        Drift(spans[1], "the document is shorter now"),
        Drift(spans[2], "the document is gone"),
    ]
    assert drift_report(spans, now) == (
        "3 of 5 spans drifted; 1 have no checksum\n"
        "q, d 0-2: the text is another\n"
        "q, d 15-17: the document is shorter now\n"
        "q, e 0-2: the document is gone"
    )


def test_only_what_the_corpus_holds_can_be_stamped():
    """A checksum of half a span would never show drift."""
    with pytest.raises(DataError, match="q, d 15-99: the corpus holds no such text"):
        stamped([Span("q", "d", 15, 99, 1)], CORPUS)
