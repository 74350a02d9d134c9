"""Text to terms: lower case, words of two characters or more, stop words out, stems.

One pass builds the vocabulary of a corpus; every distinct word is stemmed once. Much text goes
through compiled code, in blocks; the terms are the same.
"""

import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, chain, count, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.errors import UsageError, unknown
from qrels.text_column import TextColumn

BLOCK = 2**22
"""Characters that are read at a time; with fewer in all, compiled code is not worth loading."""

WORD = re.compile(r"\b\w\w+\b")
UNEVEN = "Σİ"
"""Whose lower case depends on the letters around it, or is two characters."""

FOLDED = 0x40000
"""Code points from here on are in no word."""

STOP_WORDS: Mapping[str, frozenset[str]] = {
    # the 33 words that Lucene's English analysis leaves out, and bm25s after it
    "english": frozenset({
        "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is",
        "it", "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there",
        "these", "they", "this", "to", "was", "will", "with",
    })
}  # fmt: skip


class Tokens(NamedTuple):
    """The terms of many texts as numbers, in CSR form.

    indptr: int64 (n_texts + 1,); terms: int32 (n_tokens,), in the order of the text.
    """

    indptr: NDArray[np.int64]
    terms: NDArray[np.int32]


Numbering = Callable[[Sequence[str]], Sequence[int]]
"""From words, each seen for the first time, to their numbers; -1 leaves a word out."""


Utf8 = tuple[bytes, NDArray[np.int64]]
"""Texts without the letters of UNEVEN: their UTF-8, and where each starts, int64 (n_texts + 1,)."""


@dataclass(frozen=True)
class Analysis:
    """How text becomes terms.

    stemmer: a language that Snowball (PyStemmer) knows, or None. stop_words: a name in
    STOP_WORDS, a list of lower-case words, or None; they are taken out before stemming.
    """

    stemmer: str | None = "english"
    stop_words: str | Iterable[str] | None = "english"

    def build(self, texts: Iterable[str]) -> tuple[dict[str, int], Tokens]:
        """The number of each term of *texts*, by first appearance, and the texts in numbers."""
        known: dict[str, int] = {}

        def number(words: Sequence[str]) -> list[int]:
            return [
                known.setdefault(stem, len(known)) if stem else -1 for stem in self._stems(words)
            ]

        tokens = _read(texts, number)  # which fills *known*
        return known, tokens

    def encode(self, texts: Iterable[str], known: Mapping[str, int]) -> Tokens:
        """The texts in the numbers of *known*, without the terms that it lacks."""
        return _read(texts, lambda words: [known.get(stem, -1) for stem in self._stems(words)])

    def terms(self, texts: Iterable[str]) -> list[list[str]]:
        """The terms themselves, a list a text."""
        known, (indptr, numbers) = self.build(texts)
        vocabulary = list(known)
        words = [vocabulary[number] for number in numbers]
        return [words[i:j] for i, j in pairwise(indptr)]

    def _stems(self, words: Sequence[str]) -> list[str]:
        """The term of each word, "" for a stop word."""
        stop = _stop_words(self.stop_words)
        stems = _stemmed(words, self.stemmer) if self.stemmer else words
        return ["" if word in stop else stem for word, stem in zip(words, stems, strict=True)]


def numbered(vocabulary: Iterable[str]) -> dict[str, int]:
    """The number of each term, by its place in the vocabulary."""
    return {term: number for number, term in enumerate(vocabulary)}


def _read(texts: Iterable[str], number: Numbering) -> Tokens:
    """The texts in the numbers that *number* gives to their words."""
    if isinstance(texts, TextColumn):
        much = len(texts.utf8()[0]) >= BLOCK
        return _much(_pieces(texts), number) if much else _little(texts, number)
    blocks = _blocks(texts)
    block = next(blocks)
    if sum(map(len, block)) < BLOCK:  # there is no other
        return _little(block, number)
    return _much(map(_encoded, chain([block], blocks)), number)


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in order, by BLOCK characters or a little more; the last may be short or empty."""
    block, size = [], 0
    for text in texts:
        block.append(text)
        size += len(text)
        if size >= BLOCK:
            yield block
            block, size = [], 0
    yield block


def _little(texts: Iterable[str], number: Numbering) -> Tokens:
    """The texts as numbers, by `re`."""
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    flat, ends = array("i"), [0]
    for text in texts:
        flat.extend(map(numbers.__getitem__, WORD.findall(text.lower())))
        ends.append(len(flat))
    number_of = np.array(number(list(numbers)), np.int32)
    terms = number_of[np.array(flat, np.int32)]
    kept = np.concatenate(([0], (terms >= 0).cumsum()))
    return Tokens(kept[np.array(ends, np.int64)], terms[terms >= 0])


def _much(pieces: Iterable[Utf8], number: Numbering) -> Tokens:
    """The texts as numbers, by compiled code."""
    from retrievers.words import Words, renumber

    words, number_of = Words(folded()), np.empty(0, np.int32)
    ends, terms, total = [np.zeros(1, np.int64)], [], 0
    for piece in pieces:
        indptr, found = words.read(*piece)
        new = number(words.spelled(len(number_of)))
        number_of = np.concatenate((number_of, np.array(new, np.int32)))
        renumber(indptr, found, number_of)
        ends.append(indptr[1:] + total)
        terms.append(found[: indptr[-1]].copy())  # without the room that was not needed
        total += len(terms[-1])
    return Tokens(np.concatenate(ends), _joined(terms, total))


def _joined(parts: list[NDArray[np.int32]], total: int) -> NDArray[np.int32]:
    """One array of all *parts*, each of which is let go as soon as it is copied."""
    whole = np.empty(total, np.int32)
    while parts:
        part = parts.pop()
        whole[total - len(part) : total] = part
        total -= len(part)
    return whole


def _pieces(column: TextColumn) -> Iterator[Utf8]:
    """The texts of *column* by BLOCK bytes, or a single one."""
    data, offsets = column.utf8()
    start = 0
    while start < len(column):
        within = int(np.searchsorted(offsets, offsets[start] + BLOCK, "right")) - 1
        stop = max(start + 1, within)
        bounds = offsets[start : stop + 1]
        text = data[bounds[0] : bounds[-1]].tobytes()
        if any(letter.encode() in text for letter in UNEVEN):
            yield _encoded(column[start:stop])
        else:
            yield text, bounds - bounds[0]
        start = stop


def _encoded(texts: Sequence[str]) -> Utf8:
    parts = [_even(text).encode("utf-8", "surrogatepass") for text in texts]
    offsets = np.fromiter(accumulate(map(len, parts), initial=0), np.int64, len(parts) + 1)
    return b"".join(parts), offsets


def _even(text: str) -> str:
    """The text without the letters of UNEVEN: as quick as it can be for one that has none."""
    return text.lower() if "Σ" in text or "İ" in text else text


@cache
def folded() -> NDArray[np.uint32]:
    """uint32 (FOLDED,): the UTF-8 of the lower case of each code point that a word can hold.

    The first byte is the lowest. 0 for code points that no word holds.
    """
    table = np.zeros(FOLDED, np.uint32)
    for point, letter in enumerate(map(chr, range(FOLDED))):
        lower = letter.lower()
        if (lower.isalnum() or letter == "_") and letter not in UNEVEN:
            table[point] = int.from_bytes(lower.encode(), "little")
    return table


def _stemmed(words: Sequence[str], language: str) -> list[str]:
    import Stemmer

    if language not in Stemmer.algorithms():
        raise unknown("stemmer", language, Stemmer.algorithms())
    stems: list[str] = Stemmer.Stemmer(language).stemWords(list(words))
    return stems


def _stop_words(chosen: str | Iterable[str] | None) -> frozenset[str]:
    if chosen is None:
        return frozenset()
    if not isinstance(chosen, str):
        return frozenset(chosen)
    if chosen not in STOP_WORDS:
        raise UsageError(
            f"unknown stop words {chosen!r}; allowed: {', '.join(STOP_WORDS)}, a list, or null"
        )
    return STOP_WORDS[chosen]
