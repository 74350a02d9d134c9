"""Rerankers whose model reads query and document together: what they share."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.base import current_device
from encoders.loading import loading, source
from encoders.sentence_transformer import DTYPES
from qrels.data import ABSENT, Corpus, Run
from qrels.errors import UsageError, unknown
from rerankers.candidates import ordered, positions, texts_at

Pair = tuple[str, str]  # a query and a document

KIND = "reranker model"
"""The word for it in messages."""


class PairReranker:
    """A reranker whose subclass says how to load its model and how it scores pairs.

    The model is loaded on first use, on the device in scope then, from safetensors only; it
    stays out of pickles. A folder is never looked for on the hub.
    """

    model: str
    fields: Sequence[str] | None
    batch_size: int
    device: str | None
    dtype: str
    revision: str | None
    trust_remote_code: bool

    def rerank(self, queries: Sequence[str], run: Run, corpus: Corpus, k: int) -> Run:
        if self.batch_size < 1:
            raise UsageError(f"batch_size is {self.batch_size!r}; expected at least 1")
        docs = run.docs[:, :k]
        chosen = positions(docs)
        texts = dict(zip(chosen.tolist(), texts_at(corpus, chosen, self.fields), strict=True))
        rows, columns = np.nonzero(docs != ABSENT)
        found = docs[rows, columns].tolist()
        pairs = [(queries[row], texts[doc]) for row, doc in zip(rows.tolist(), found, strict=True)]
        scores = np.full(docs.shape, -np.inf, np.float32)
        if pairs:
            scores[rows, columns] = self._scores(pairs)
        return ordered(docs, scores, corpus)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_loaded"}

    @cached_property
    def _loaded(self) -> Any:  # the libraries' own types
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)
        with loading(KIND, self.model):
            return self._load(current_device(self.device))

    @property
    def _source(self) -> dict[str, Any]:
        """Keyword arguments that say where files come from, for transformers."""
        return source(self.model, self.revision, self.trust_remote_code)

    def _load(self, device: str) -> Any:
        raise NotImplementedError

    def _scores(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        """float32 (n_pairs,); pairs is not empty."""
        raise NotImplementedError
