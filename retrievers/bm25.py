"""BM25 in six variants, over precomputed impacts.

Sources: Robertson & Zaragoza 2009, doi 10.1561/1500000019; Lv & Zhai 2011 for BM25L
(doi 10.1145/2009916.2010070) and BM25+ (doi 10.1145/2063576.2063584); the variants side by side
in Kamphuis et al. 2020, doi 10.1007/978-3-030-45442-5_4.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.data import Corpus
from qrels.errors import UsageError, unknown
from retrievers.counting import blocks, counted
from retrievers.lexical import Lexical
from retrievers.postings import Counts, Postings
from retrievers.tokenise import Analysis

Floats = NDArray[np.float64]
EPSILON = 0.25
"""The share of the mean idf that method okapi, as rank-bm25, gives to terms of negative idf."""


def lucene_idf(df: Floats, n: int) -> Floats:
    """float64, positive: log(1 + (n - df + 0.5) / (df + 0.5))."""
    return np.log1p((n - df + 0.5) / (df + 0.5))


def _okapi_idf(df: Floats, n: int) -> Floats:
    idf = np.log((n - df + 0.5) / (df + 0.5))
    return np.where(idf < 0, EPSILON * idf.mean(), idf) if len(idf) else idf


def saturated(tf: Floats, k1: float) -> Floats:
    """tf / (tf + k1), the share of its ceiling that a term of normalised frequency tf reaches."""
    return tf / (tf + k1)


class Method(NamedTuple):
    """A variant: its idf, of document frequencies and n_docs, and what it does to saturation.

    scaled: times k1 + 1. delta: added to the normalised frequency before the saturation, or to
    its result after it; either way a query term also gives something to documents without it.
    """

    idf: Callable[[Floats, int], Floats]
    scaled: bool = False
    delta: Literal["none", "before", "after"] = "none"


METHODS: Mapping[str, Method] = {
    "lucene": Method(lucene_idf),
    "robertson": Method(lambda df, n: np.log(np.maximum(1, (n - df + 0.5) / (df + 0.5)))),
    "atire": Method(lambda df, n: np.log(n / df), scaled=True),
    "bm25+": Method(lambda df, n: np.log((n + 1) / df), scaled=True, delta="after"),
    "bm25l": Method(lambda df, n: np.log((n + 1) / (df + 0.5)), scaled=True, delta="before"),
    "okapi": Method(_okapi_idf, scaled=True),
}


class Counted(NamedTuple):
    """A corpus as read: the number of each term, the lengths of documents, the counts."""

    known: Mapping[str, int]
    lengths: NDArray[np.int64]
    counts: Counts


class BM25(Lexical):
    """BM25 over the joined text fields; returns only documents that a query term adds to.

    method: a key of METHODS; delta counts in bm25+ and bm25l alone. stemmer, stop_words: as in
    `tokenise.Analysis`. fields: which text fields are joined, all by default.
    """

    def __init__(
        self,
        method: str = "lucene",
        k1: float = 0.9,
        b: float = 0.4,
        delta: float = 0.5,
        stemmer: str | None = "english",
        stop_words: str | Sequence[str] | None = "english",
        fields: Sequence[str] | None = None,
    ) -> None:
        self.method = method
        self.k1 = k1
        self.b = b
        self.delta = delta
        self.stemmer = stemmer
        self.stop_words = stop_words
        self.fields = fields

    def _weigh(self, corpus: Corpus, analysis: Analysis) -> Postings:
        self._check()
        return self._weighed(self._counted(corpus, analysis))

    def reading(self) -> str:
        return repr(("bm25", self.stemmer, self.stop_words, self.fields))

    def read(self, corpus: Corpus) -> Counted:
        return self._counted(corpus, Analysis(self.stemmer, self.stop_words))

    def index_read(self, read: Counted, corpus: Corpus) -> None:
        self._check()
        self._keep(self._weighed(read), corpus)

    def _counted(self, corpus: Corpus, analysis: Analysis) -> Counted:
        known, tokens = analysis.build(corpus.joined(self.fields))
        return Counted(known, np.diff(tokens.indptr), counted(tokens, len(known)))

    def _check(self) -> None:
        if self.method not in METHODS:
            raise unknown("BM25 method", self.method, METHODS)
        check_range("k1", self.k1)
        check_range("b", self.b, 1.0)
        check_range("delta", self.delta)

    def _weighed(self, read: Counted) -> Postings:
        known, lengths, counts = read
        norms = length_norms(lengths, self.b)
        idf = METHODS[self.method].idf(counts.document_frequencies, len(lengths))
        impacts = np.empty(len(counts.docs), np.float32)
        for terms, found in blocks(counts.indptr):  # so that little is float64 at a time
            gains, _ = self._gains(counts.frequencies[found] / norms[counts.docs[found]])
            impacts[found] = np.repeat(idf[terms], np.diff(counts.indptr)[terms]) * gains
        _, absent = self._gains(np.empty(0))
        return Postings(
            known, counts.indptr, counts.docs, impacts, (idf * absent).astype(np.float32)
        )

    def _gains(self, normalised: Floats) -> tuple[Floats, float]:
        """What a term gives by being in a document, (n_postings,), and by being in the query."""
        method = METHODS[self.method]
        scale = self.k1 + 1 if method.scaled else 1.0
        before = self.delta if method.delta == "before" else 0.0
        after = self.delta if method.delta == "after" else 0.0
        least = before / (before + self.k1) if before else 0.0
        return scale * (saturated(normalised + before, self.k1) - least), scale * least + after


def length_norms(lengths: NDArray[np.int64], b: float) -> Floats:
    """float64 (n_texts,): 1 - b + b * length / mean length; 1 - b where every text is empty."""
    return 1 - b + b * lengths / (lengths.mean() if lengths.any() else 1.0)


def check_range(name: str, value: object, most: float = math.inf) -> None:
    """UsageError unless *value* is a finite number from 0 to *most*."""
    if isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= most:
        return
    bounds = "0 or more" if most == math.inf else f"from 0 to {most:g}"
    raise UsageError(f"{name} is {value!r}; allowed: a number {bounds}")
