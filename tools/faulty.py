"""Retrievers that are broken on purpose, to see whether the gate notices."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

import retrievers
from qrels.data import ABSENT, Corpus, Run
from retrievers.base import Retriever
from retrievers.registry import parse_spec


def made(spec: str) -> Retriever:
    """The retriever that *spec* names."""
    found: Retriever = retrievers.create(*parse_spec(spec))
    return found


class LostDocuments:
    """*retriever* over a corpus that lost every *every*-th document, as a job that died might."""

    def __init__(self, retriever: str = "bm25", every: int = 10) -> None:
        self.retriever = retriever
        self.every = every

    def index(self, corpus: Corpus) -> None:
        self.kept = np.flatnonzero(np.arange(len(corpus)) % self.every != 0).astype(np.int32)
        self.built = made(self.retriever)
        self.built.index(
            Corpus(
                [corpus.doc_ids[at] for at in self.kept],
                {n: [texts[at] for at in self.kept] for n, texts in corpus.fields.items()},
                weights=corpus.weights,
            )
        )

    def search(self, queries: Sequence[str], k: int) -> Run:
        docs, scores = self.built.search(queries, k)
        return Run(np.where(docs == ABSENT, ABSENT, self.kept[docs]).astype(np.int32), scores)


class ShuffledField:
    """*retriever* over a corpus whose *field* was joined to the wrong rows."""

    def __init__(self, retriever: str = "bm25", field: str = "title", seed: int = 1) -> None:
        self.retriever = retriever
        self.field = field
        self.seed = seed

    def index(self, corpus: Corpus) -> None:
        order: NDArray[np.int64] = np.random.default_rng(self.seed).permutation(len(corpus))
        texts = [corpus.fields[self.field][at] for at in order]
        self.built = made(self.retriever)
        self.built.index(replace(corpus, fields={**corpus.fields, self.field: texts}))

    def search(self, queries: Sequence[str], k: int) -> Run:
        return self.built.search(queries, k)
