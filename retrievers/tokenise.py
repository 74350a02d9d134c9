"""Text to terms: lower case, words of two characters or more, stop words out, stems.

One pass builds the vocabulary of a corpus; every distinct word is stemmed once.
"""

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.errors import UsageError, unknown

WORD = re.compile(r"\b\w\w+\b")

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
        words, found = _words(texts)
        stems = self._stems(words)
        known = numbered(dict.fromkeys(filter(None, stems)))
        return known, _renumbered(found, stems, known)

    def encode(self, texts: Iterable[str], known: Mapping[str, int]) -> Tokens:
        """The texts in the numbers of *known*, without the terms that it lacks."""
        words, found = _words(texts)
        return _renumbered(found, self._stems(words), known)

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


def _words(texts: Iterable[str]) -> tuple[list[str], Tokens]:
    """The distinct words of *texts* and the texts in their numbers."""
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    flat, ends = array("i"), [0]
    for text in texts:
        flat.extend(map(numbers.__getitem__, WORD.findall(text.lower())))
        ends.append(len(flat))
    return list(numbers), Tokens(np.array(ends, np.int64), np.array(flat, np.int32))


def _renumbered(found: Tokens, stems: Sequence[str], known: Mapping[str, int]) -> Tokens:
    """*found*, in word numbers, in the term numbers of *known*; what it lacks is left out."""
    number_of = np.fromiter((known.get(stem, -1) for stem in stems), np.int32, len(stems))
    terms = number_of[found.terms]
    kept = np.concatenate(([0], (terms >= 0).cumsum()))
    return Tokens(kept[found.indptr], terms[terms >= 0])


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
