"""Weighted-field dense retrieval: a document is the weighted mean of its fields' vectors."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

import encoders
from qrels.data import Corpus
from qrels.errors import UsageError, unknown
from retrievers.vectors import VectorRetriever, Vectors, unit

MODES = ("fields", "joined")


class Fielded(VectorRetriever):
    """Dot product of the unit query with the weighted mean of a document's unit field vectors.

    Weights are shared out anew among a document's non-empty fields, so a missing field adds
    nothing; the mean is taken as it is, so a document whose fields agree scores higher, unless
    normalize scales it to unit length. A document without text is a zero vector.
    weights: by field; a field that is not named has none. None: the corpus's own, 1 where it has
    none. fields: those to use, all by default. mode "joined": one unit vector of the joined text
    of the fields with a weight instead. Other weights need no encoding: vectors are cached.
    """

    similarity = "dot"

    def __init__(
        self,
        encoder: str = "minilm",
        weights: Mapping[str, float] | None = None,
        mode: str = "fields",
        normalize: bool = False,
        fields: Sequence[str] | None = None,
    ) -> None:
        self.encoder = encoder
        self.weights = weights
        self.mode = mode
        self.normalize = normalize
        self.fields = fields

    def encode(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """float32 (n_queries, dimension), unit length."""
        return unit(super().encode(queries))

    def _vectors(self, corpus: Corpus) -> Vectors:
        if self.mode not in MODES:
            raise unknown("mode of fielded", self.mode, MODES)
        weights = field_weights(corpus, self.weights, self.fields)
        if self.mode == "joined":
            texts = corpus.joined(list(weights))
            return unit(encoders.load(self.encoder).encode(texts, "passage"))
        mean = self._mean(corpus, weights)
        return unit(mean) if self.normalize else mean

    def _mean(self, corpus: Corpus, weights: Mapping[str, float]) -> NDArray[np.float32]:
        """float32 (n_docs, dimension): the weighted mean over each document's non-empty fields."""
        encoder = encoders.load(self.encoder)
        parts = []
        for name, weight in weights.items():
            texts = corpus.fields[name]
            rows = [row for row, text in enumerate(texts) if text]
            if rows:
                found = encoder.encode([texts[row] for row in rows], "passage")
                parts.append((weight, rows, found))
        dimension = parts[0][2].shape[1] if parts else encoder.dimension
        mean, total = np.zeros((len(corpus), dimension), np.float32), np.zeros((len(corpus), 1))
        for weight, rows, found in parts:
            mean[rows] += np.float32(weight) * unit(found)
            total[rows] += weight
        return np.divide(mean, total, out=mean, where=total > 0, casting="same_kind")


def field_weights(
    corpus: Corpus, weights: Mapping[str, float] | None, fields: Sequence[str] | None
) -> dict[str, float]:
    """The weight of each field that has one, in the corpus's order.

    UsageError for an unknown field, a weight that is not a number of 0 or more, and where no
    weight is above 0.
    """
    for name in [*(weights or ()), *(fields or ())]:
        if name not in corpus.fields:
            raise unknown("field", name, corpus.fields)
    chosen = [name for name in corpus.fields if fields is None or name in fields]
    given = {n: corpus.weights.get(n, 1.0) for n in chosen} if weights is None else weights
    for name, weight in given.items():
        if (
            isinstance(weight, bool)
            or not isinstance(weight, int | float)
            or not 0 <= weight < np.inf
        ):
            raise UsageError(
                f"weight of field {name!r} is {weight!r}; allowed: a number, 0 or more"
            )
    found = {name: float(given[name]) for name in chosen if given.get(name, 0)}
    if not found:
        raise UsageError(f"no field has a weight above 0; fields: {', '.join(corpus.fields)}")
    return found
