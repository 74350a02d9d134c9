"""Long documents cut into chunks of so many tokens, which overlap and end with a sentence."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qrels.data import Column, Corpus
from qrels.errors import UsageError, unknown

Spans = NDArray[np.int64]
"""int64 (n_tokens, 2): where each token of a text starts and ends, in characters, rising."""

Tokenizer = Callable[[Sequence[str]], list[Spans]]

ENDS, CLOSERS = ".!?…。！？", "\"')]}»”’"
"""What a sentence ends with, and what may stand behind that."""


@dataclass(frozen=True)
class Chunks:
    """The chunks of a corpus, document by document, as a corpus of their own.

    corpus: a row a chunk, named DOC_ID#NUMBER; *field* holds its part of the text, the other
    fields and the metadata are the document's. doc_of: int32 (n_chunks,), the document's
    position, rising. starts, ends: int64 (n_chunks,), characters of that document's *field*.
    """

    corpus: Corpus
    doc_of: NDArray[np.int32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    documents: Corpus
    field: str

    def __len__(self) -> int:
        return len(self.doc_of)


def chunked(
    corpus: Corpus,
    size: int,
    overlap: int = 0,
    tokens: Tokenizer | None = None,
    field: str = "text",
) -> Chunks:
    """*corpus* with *field* cut into chunks of at most *size* tokens, *overlap* of them shared.

    A chunk ends with the last sentence or paragraph end in its second half, where there is one.
    A text without tokens is one chunk, "". tokens: by default words. Raises UsageError where
    size is below 1, overlap not from 0 to half of size, or the corpus lacks the field.
    """
    check_sizes(size, overlap)
    if field not in corpus.fields:
        raise unknown("field", field, corpus.fields)
    texts = list(corpus.fields[field])
    spans = (tokens or words)(texts)
    cut = [cuts(text, found, size, overlap) for text, found in zip(texts, spans, strict=True)]
    counts = [len(places) for places in cut]
    doc_of = np.repeat(np.arange(len(texts), dtype=np.int32), counts)
    starts, ends = np.array([p for places in cut for p in places], np.int64).reshape(-1, 2).T
    return Chunks(_rows(corpus, field, texts, cut), doc_of, starts, ends, corpus, field)


def check_sizes(size: int, overlap: int) -> None:
    """UsageError where no chunks can be cut so."""
    if not isinstance(size, int) or size < 1:
        raise UsageError(f"size is {size!r}; allowed: a whole number of tokens of at least 1")
    if not isinstance(overlap, int) or not 0 <= overlap <= size // 2:
        raise UsageError(f"overlap is {overlap!r}; allowed: 0 to {size // 2}, half of size {size}")


def words(texts: Sequence[str]) -> list[Spans]:
    """The tokens of each text: runs of anything but white space."""
    return [_spans(match.span() for match in re.finditer(r"\S+", text)) for text in texts]


def cuts(text: str, spans: Spans, size: int, overlap: int) -> list[tuple[int, int]]:
    """Start and end, in characters, of each chunk of *text*; [(0, 0)] where it has no token."""
    starts, ends = spans.T.tolist()
    found, first, total = [], 0, len(ends)
    while first < total:
        last = min(first + size, total)
        if last < total:
            half = range(last, first + size // 2, -1)
            last = next((count for count in half if _ends(text, ends[count - 1])), last)
        found.append((starts[first], ends[last - 1]))
        first = last if last == total else last - overlap
    return found or [(0, 0)]


def _ends(text: str, place: int) -> bool:
    """Whether a sentence or a paragraph of *text* ends at character *place*."""
    if place < len(text) and not text[place].isspace():
        return False
    before = text[max(0, place - 4) : place].rstrip(CLOSERS)
    return before.endswith(tuple(ENDS)) or text.startswith("\n\n", place)


def _rows(
    corpus: Corpus, field: str, texts: Sequence[str], cut: Sequence[Sequence[tuple[int, int]]]
) -> Corpus:
    """The chunks as a corpus."""
    rows = [row for row, places in enumerate(cut) for _ in places]
    ids = corpus.doc_ids
    names = [f"{ids[row]}#{number}" for row, p in enumerate(cut) for number in range(len(p))]
    parts = [texts[row][a:b] for row, places in enumerate(cut) for a, b in places]
    fields = {
        name: parts if name == field else [column[row] for row in rows]
        for name, column in corpus.fields.items()
    }
    return Corpus(names, fields, _columns(corpus.metadata, rows), corpus.weights)


def _columns(metadata: Mapping[str, Column], rows: Sequence[int]) -> dict[str, Column]:
    places = np.array(rows, np.intp)
    return {name: Column(column.kind, column.values[places]) for name, column in metadata.items()}


def _spans(pairs: Any) -> Spans:  # an iterable of (start, end)
    return np.array(list(pairs), np.int64).reshape(-1, 2)
