"""rank-bm25 behind the protocol: slow, and independent of our own BM25, which it checks."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qrels.data import Column, Corpus, Filter, Run
from qrels.ranking import top_k
from qrels.saved import load_index, save_index
from retrievers.filters import matching
from retrievers.tokenise import Analysis, Tokens, numbered


class BM25Okapi:
    """rank-bm25's BM25Okapi over the joined text fields, without documents of score zero.

    epsilon: the share of the mean idf that terms of negative idf get. The other parameters are
    those of `bm25`.
    """

    _terms: Mapping[str, int]
    _tokens: Tokens
    _engine: Any  # rank_bm25.BM25Okapi, which has no types; None over texts without a word
    _tie_order: NDArray[np.int32]
    _metadata: Mapping[str, Column]

    def __init__(
        self,
        k1: float = 1.5,
        b: float = 0.75,
        epsilon: float = 0.25,
        stemmer: str | None = "english",
        stop_words: str | Sequence[str] | None = "english",
        fields: Sequence[str] | None = None,
    ) -> None:
        self.k1 = k1
        self.b = b
        self.epsilon = epsilon
        self.stemmer = stemmer
        self.stop_words = stop_words
        self.fields = fields

    def index(self, corpus: Corpus) -> None:
        analysis = Analysis(self.stemmer, self.stop_words)
        self._keep(*analysis.build(corpus.joined(self.fields)), corpus)

    def encode(self, queries: Sequence[str]) -> list[list[int]]:
        """The numbers of the terms of each query; terms that no document has are left out."""
        return _lists(Analysis(self.stemmer, self.stop_words).encode(queries, self._terms))

    def search(self, queries: Sequence[str], k: int, where: Sequence[Filter] = ()) -> Run:
        return self.search_encoded(self.encode(queries), k, where)

    def search_encoded(
        self, encoded: Sequence[Sequence[int]], k: int, where: Sequence[Filter] = ()
    ) -> Run:
        allowed = matching(self._metadata, where, len(self._tie_order))
        scores = np.zeros((len(encoded), len(self._tie_order)), np.float32)
        for row, terms in enumerate(encoded):
            scores[row] = self._engine.get_scores(sorted(terms)) if terms else 0.0
        scores[scores == 0] = -np.inf
        return top_k(scores, k, self._tie_order, allowed)

    def save(self, folder: Path) -> None:
        """Write the corpus as terms: rank-bm25 has no form of its own to save."""
        facts = {"vocabulary": list(self._terms), "n_docs": len(self._tie_order)}
        save_index(self, folder, self._tokens._asdict(), facts)

    def load(self, folder: Path, corpus: Corpus) -> None:
        arrays, facts = load_index(self, folder, len(corpus))
        self._keep(numbered(facts["vocabulary"]), Tokens(**arrays), corpus)

    def _keep(self, terms: Mapping[str, int], tokens: Tokens, corpus: Corpus) -> None:
        from rank_bm25 import BM25Okapi as Engine

        self._terms, self._tokens = terms, tokens
        self._engine = (
            Engine(_lists(tokens), None, self.k1, self.b, self.epsilon) if terms else None
        )
        self._tie_order, self._metadata = corpus.tie_order, corpus.metadata


def _lists(tokens: Tokens) -> list[list[int]]:
    return [tokens.terms[start:end].tolist() for start, end in pairwise(tokens.indptr)]
