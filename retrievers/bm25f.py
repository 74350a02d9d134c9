"""BM25F: one saturation over the weighted, length-normalised frequencies of all fields.

Sources: Robertson, Zaragoza & Taylor 2004, doi 10.1145/1031171.1031181, for combining before
the saturation; Zaragoza et al. 2004 (TREC-13, Microsoft Cambridge) for a b for each field.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.data import Corpus
from qrels.errors import UsageError
from retrievers.bm25 import check_range, length_norms, lucene_idf, saturated
from retrievers.fielded import field_weights
from retrievers.lexical import Lexical
from retrievers.postings import Postings, count, postings
from retrievers.tokenise import Analysis, Tokens


class Tokenised(NamedTuple):
    """The fields as read: the number of each term, all tokens, lengths (n_fields, n_docs)."""

    known: Mapping[str, int]
    tokens: Tokens
    lengths: NDArray[np.int64]


class BM25F(Lexical):
    """BM25 over weighted fields: a word in the title may count for more than one in the text.

    weights: of each field used; by default the corpus's own, 1 for a field without one. b: one
    for all fields, or one a field. The score sums idf * tf / (k1 + tf) over query terms, where
    tf sums weight * frequency / (1 - b + b * length / mean length) over fields: with a single
    field of weight 1 it equals BM25 by the method lucene.
    """

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        k1: float = 0.9,
        b: float | Mapping[str, float] = 0.4,
        stemmer: str | None = "english",
        stop_words: str | Sequence[str] | None = "english",
    ) -> None:
        self.weights = weights
        self.k1 = k1
        self.b = b
        self.stemmer = stemmer
        self.stop_words = stop_words

    def _weigh(self, corpus: Corpus, analysis: Analysis) -> Postings:
        self._check(corpus)
        return self._weighed(self._tokenised(corpus, analysis), corpus)

    def reading(self) -> str:
        given = self.weights or {}
        used = sorted(name for name, weight in given.items() if weight)
        return repr((self.stemmer, self.stop_words, used))

    def read(self, corpus: Corpus) -> Tokenised:
        return self._tokenised(corpus, Analysis(self.stemmer, self.stop_words))

    def index_read(self, read: Tokenised, corpus: Corpus) -> None:
        self._check(corpus)
        self._keep(self._weighed(read, corpus), corpus)

    def _check(self, corpus: Corpus) -> None:
        check_range("k1", self.k1)
        for name in field_weights(corpus, self.weights, None):
            self._b(name)

    def _tokenised(self, corpus: Corpus, analysis: Analysis) -> Tokenised:
        names = field_weights(corpus, self.weights, None)
        known, tokens = analysis.build(text for name in names for text in corpus.fields[name])
        return Tokenised(known, tokens, np.diff(tokens.indptr).reshape(len(names), len(corpus)))

    def _weighed(self, read: Tokenised, corpus: Corpus) -> Postings:
        known, tokens, lengths = read
        weights = field_weights(corpus, self.weights, None)
        n_docs = len(corpus)
        norms = [length_norms(lengths[at], self._b(name)) for at, name in enumerate(weights)]
        each = np.repeat(list(weights.values()), lengths.sum(axis=1))
        each /= np.ravel(norms).repeat(lengths.ravel())
        docs = np.tile(np.arange(n_docs, dtype=np.int32), len(weights)).repeat(lengths.ravel())
        counts = count(docs, tokens.terms, each, (n_docs, len(known)))
        idf = lucene_idf(counts.document_frequencies, n_docs)
        frequencies = counts.frequencies.astype(np.float64, copy=False)
        impacts = idf[counts.terms] * saturated(frequencies, self.k1)
        return postings(known, counts, impacts, np.zeros(len(known)))

    def _b(self, field: str) -> float:
        if not isinstance(self.b, Mapping):
            check_range("b", self.b, 1.0)
            return self.b
        if field not in self.b:
            raise UsageError(f"b names no value for the field {field!r}: {dict(self.b)}")
        check_range(f"the b of {field!r}", self.b[field], 1.0)
        return self.b[field]
