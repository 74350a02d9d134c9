"""Maximal marginal relevance: documents near the query and unlike those above them.

Source: Carbonell & Goldstein 1998, doi 10.1145/290941.291025.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import encoders
from qrels.data import ABSENT, Corpus, Run
from qrels.errors import UsageError
from rerankers.candidates import check_prepared, ordered, positions, texts_at
from rerankers.saved import load_prepared, save_prepared

Floats = NDArray[np.float32]


class MMR:
    """Takes one document after another, by cosine to the query less that to those taken.

    The next is the one with the largest (1 - diversity) cosine(query, document) - diversity
    max(0, largest cosine to a document taken), and this value is its score. As a cosine below 0
    counts as no redundancy, values never rise from one choice to the next, so that the scores'
    order is the order of choice; equal values by the one rule.
    diversity: 0 ranks by cosine alone, 1 by novelty alone (1 - lambda in the paper).
    """

    _vectors: Floats | None = None

    def __init__(
        self, encoder: str = "minilm", diversity: float = 0.3, fields: Sequence[str] | None = None
    ) -> None:
        self.encoder = encoder
        self.diversity = diversity
        self.fields = fields

    def prepare(self, corpus: Corpus) -> None:
        """Encode every document once; without it each call encodes its candidates."""
        self._vectors = encoders.load(self.encoder).encode(corpus.joined(self.fields), "passage")

    def rerank(self, queries: Sequence[str], run: Run, corpus: Corpus, k: int) -> Run:
        if not 0 <= self.diversity <= 1:
            raise UsageError(f"diversity is {self.diversity!r}; allowed: 0 to 1")
        docs = run.docs[:, :k]
        chosen = positions(docs)
        vectors = self._vectors_at(corpus, chosen)
        wanted = encoders.load(self.encoder).encode(queries, "query")
        scores = np.full(docs.shape, -np.inf, np.float32)
        for row, query in enumerate(wanted):
            present = docs[row] != ABSENT
            places = np.searchsorted(chosen, docs[row, present])
            scores[row, present] = marginal(
                query, vectors[places], self.diversity, corpus.tie_order[docs[row, present]]
            )
        return ordered(docs, scores, corpus)

    def save(self, folder: Path) -> None:
        """Write the prepared vectors, float32 (n_docs, dimension)."""
        if self._vectors is None:
            raise UsageError("mmr has nothing to save before prepare")
        save_prepared(self, folder, {"vectors": self._vectors}, len(self._vectors))

    def load(self, folder: Path, corpus: Corpus) -> None:
        self._vectors = load_prepared(self, folder, corpus)["vectors"]

    def _vectors_at(self, corpus: Corpus, chosen: NDArray[np.int32]) -> Floats:
        if self._vectors is None:
            texts = texts_at(corpus, chosen, self.fields)
            return encoders.load(self.encoder).encode(texts, "passage")
        check_prepared(len(self._vectors), corpus)
        return self._vectors[chosen]


def marginal(
    query: Floats, documents: Floats, diversity: float, tie_order: NDArray[np.int32]
) -> Floats:
    """Each document's value when its turn came, float32 (n,).

    query: float32 (dimension,); documents: float32 (n, dimension); tie_order: int32 (n,).
    """
    units = _unit(np.vstack([query, documents]))
    cosines = (units[1:] @ units.T).astype(np.float32)
    relevance, among = cosines[:, 0], cosines[:, 1:]
    values = np.empty(len(documents), np.float32)
    redundancy = np.zeros(len(documents), np.float32)
    left = np.argsort(tie_order)  # so that the first of equal values is the one rule's
    while len(left):
        worth = (1 - diversity) * relevance[left] - diversity * redundancy[left]
        best = int(worth.argmax())
        taken = left[best]
        values[taken] = worth[best]
        left = np.delete(left, best)
        redundancy = np.maximum(redundancy, among[taken])
    return values


def _unit(vectors: Floats) -> NDArray[np.float64]:
    """Scaled to length 1, a zero vector left as it is; float64, so that copies stay equal."""
    exact = vectors.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.asarray(exact / np.where(lengths > 0, lengths, 1))
