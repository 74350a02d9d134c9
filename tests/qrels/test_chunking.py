"""Chunks: nothing lost, never too long, cut where a sentence ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrels.chunks import chunked, words
from qrels.data import Column, Corpus
from qrels.errors import UsageError

CASES = {  # text, size, overlap, chunks
    "shorter": ("one two", 3, 1, ["one two"]),
    "as-long": ("one two three", 3, 1, ["one two three"]),
    "cut": ("a b c d e", 2, 0, ["a b", "c d", "e"]),
    "overlap": ("a b c d e", 3, 1, ["a b c", "c d e"]),
    "half-overlap": ("a b c d", 2, 1, ["a b", "b c", "c d"]),
    "size-1": ("a b", 1, 0, ["a", "b"]),
    "white-space-at-the-ends": ("  a\n b ", 1, 0, ["a", "b"]),
    "sentence": ("a b c. d e f g", 4, 0, ["a b c.", "d e f g"]),
    "last-sentence-of-several": ("a. b. c. d e", 4, 0, ["a. b. c.", "d e"]),
    "sentence-in-the-first-half": ("a b. c d e f", 5, 0, ["a b. c d e", "f"]),
    "sentence-in-quotes": ('a b c." d e f', 4, 0, ['a b c."', "d e f"]),
    "paragraph": ("a b c\n\nd e f", 4, 0, ["a b c", "d e f"]),
    "no-sentence-within-a-number": ("a b 1.5 d e", 4, 0, ["a b 1.5 d", "e"]),
    "empty": ("", 4, 0, [""]),
    "white-space": (" \n ", 4, 0, [""]),
}


@pytest.mark.parametrize(("text", "size", "overlap", "expected"), CASES.values(), ids=CASES)
def test_a_text_is_cut_as_by_hand(text, size, overlap, expected):
    """At most size words each, the last sentence end of the second half before anything else."""
    chunks = chunked(Corpus(["d"], {"text": [text]}), size, overlap)
    assert list(chunks.corpus.fields["text"]) == expected
    assert [text[a:b] for a, b in zip(chunks.starts, chunks.ends, strict=True)] == expected


def test_chunks_keep_their_documents_other_fields_metadata_and_weights():
    """A chunk answers filters and shows titles as its document does."""
    number = Column("int", np.array([1.0, np.nan]))
    corpus = Corpus(
        ["x", "y"], {"title": ["X", "Y"], "text": ["a b c", ""]}, {"n": number}, {"title": 2.0}
    )
    chunks = chunked(corpus, 2)
    assert list(chunks.corpus.doc_ids) == ["x#0", "x#1", "y#0"]
    assert chunks.corpus.fields == {"title": ["X", "X", "Y"], "text": ["a b", "c", ""]}
    assert chunks.doc_of.tolist() == [0, 0, 1]
    assert chunks.doc_of.dtype == np.int32
    np.testing.assert_array_equal(chunks.corpus.metadata["n"].values, [1, 1, np.nan])
    assert chunks.corpus.weights == {"title": 2.0}
    assert len(chunked(Corpus([], {"text": []}), 2)) == 0


@given(
    texts=st.lists(st.text(alphabet="ab.!\n \"'é漢", max_size=60), max_size=4),
    size=st.integers(1, 9),
    data=st.data(),
)
def test_every_token_is_in_a_chunk_and_none_is_too_long(texts, size, data):
    """Chunks cover a text in order; neighbours share just the overlap; all but the last are full
    by half."""
    overlap = data.draw(st.integers(0, size // 2))
    corpus = Corpus([str(i) for i in range(len(texts))], {"text": texts})
    chunks = chunked(corpus, size, overlap)
    for position, spans in enumerate(words(texts)):
        own = chunks.doc_of == position
        first = np.searchsorted(spans[:, 0], chunks.starts[own])
        last = np.searchsorted(spans[:, 1], chunks.ends[own], side="right")
        counts = last - first
        assert own.any()
        if not len(spans):
            assert (chunks.starts[own].tolist(), chunks.ends[own].tolist()) == ([0], [0])
            continue
        assert (counts <= size).all()
        assert (counts[:-1] > size // 2).all()
        assert first[0] == 0
        assert last[-1] == len(spans)
        assert (last[:-1] - first[1:] == overlap).all()


@pytest.mark.parametrize(
    ("size", "overlap", "field", "error"),
    [
        (0, 0, "text", "size is 0; allowed: a whole number of tokens of at least 1"),
        (2.5, 0, "text", r"size is 2\.5"),
        (4, 3, "text", "overlap is 3; allowed: 0 to 2, half of size 4"),
        (4, -1, "text", "overlap is -1"),
        (4, 0, "txt", "unknown field 'txt'; did you mean 'text'"),
    ],
)
def test_what_cannot_be_cut_is_named(size, overlap, field, error):
    """One line with the value and what is allowed."""
    with pytest.raises(UsageError, match=error):
        chunked(Corpus(["d"], {"text": ["a"]}), size, overlap, field=field)
