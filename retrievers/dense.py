"""Exact search over one vector a document, with NumPy."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import DTypeLike

import encoders
from qrels.data import Corpus
from qrels.errors import unknown
from retrievers.vectors import BLOCK, VectorRetriever, Vectors

DTYPES: Mapping[str, DTypeLike] = {"float32": np.float32, "float16": np.float16}


class Dense(VectorRetriever):
    """Exact nearest vectors of the joined text, by cosine, dot product or distance.

    encoder: a spec of `encoders.load`. similarity: cosine, dot, or l2, which scores minus the
    squared distance. fields: those joined into the text, all by default. dtype: how vectors are
    kept, float32 or float16, which halves the index. block: documents scored at once.
    """

    def __init__(
        self,
        encoder: str = "minilm",
        similarity: str = "cosine",
        fields: Sequence[str] | None = None,
        dtype: str = "float32",
        block: int = BLOCK,
    ) -> None:
        self.encoder = encoder
        self.similarity = similarity
        self.fields = fields
        self.dtype = dtype
        self.block = block

    def _vectors(self, corpus: Corpus) -> Vectors:
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)
        texts = corpus.joined(self.fields)
        return (
            encoders.load(self.encoder)
            .encode(texts, "passage")
            .astype(DTYPES[self.dtype], copy=False)
        )
