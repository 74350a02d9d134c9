"""Exact search over one vector a document, with NumPy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import encoders
from encoders.reduced import check_dimensions, principal_axes, projected
from qrels.data import Corpus
from qrels.errors import unknown
from retrievers.stored import DTYPES
from retrievers.vectors import BLOCK, VectorRetriever, named

SAMPLE = 65536
"""Passages that the principal axes are taken from, at most; drawn by SEED where there are more."""

SEED = 0


class Dense(VectorRetriever):
    """Exact nearest vectors of the joined text, by cosine, dot product or distance.

    encoder: a spec of `encoders.load`. similarity: cosine, dot, or l2, which scores minus the
    squared distance. fields: those joined into the text, all by default. dtype: how vectors are
    kept: float32; float16, half the bytes; int8, a quarter: 255 even steps up to each vector's
    largest number. Scores are exactly those of the vectors that are kept. block: documents scored
    at once, at most. pca: on how many principal axes of the passages vectors are kept, None: as
    the encoder gives them.
    """

    def __init__(
        self,
        encoder: str = "minilm",
        similarity: str = "cosine",
        fields: Sequence[str] | None = None,
        dtype: str = "float32",
        block: int = BLOCK,
        pca: int | None = None,
    ) -> None:
        self.encoder = encoder
        self.similarity = similarity
        self.fields = fields
        self.dtype = dtype
        self.block = block
        self.pca = pca

    def encode(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """float32 (n_queries, dimension), on the principal axes where there are any."""
        found = super().encode(queries)
        return found if self.pca is None else projected(found, self._arrays["axes"])

    def _built(self, corpus: Corpus) -> dict[str, NDArray[Any]]:
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)
        texts, encoder = corpus.joined(self.fields), encoders.load(self.encoder)
        if self.pca is None:
            return named(DTYPES[self.dtype](encoder.encode(texts, "passage")))
        check_dimensions(self.pca, encoder.dimension)
        vectors = encoder.encode(texts, "passage")
        axes = principal_axes(vectors, self.pca, SAMPLE, SEED)
        return {**named(DTYPES[self.dtype](projected(vectors, axes))), "axes": axes}
