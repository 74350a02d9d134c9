"""A retriever made slower by real work, to see whether the latency gate notices."""

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from qrels.data import Corpus, Run
from qrels.suites import load_suite
from tools.faulty import made

ROUNDS = 7
SAMPLE = 30
UNITS = 200


class Slowed:
    """*retriever* that does *extra* more: 0.2 is a fifth of the median time of its own search.

    The work is arithmetic over the size of the corpus, as scoring is. How much of it takes that
    long is measured in this process, on topics of *suite*, by the fastest of several rounds.
    """

    def __init__(self, retriever: str = "bm25", extra: float = 0.2, suite: str = "models") -> None:
        self.retriever = retriever
        self.extra = extra
        self.suite = suite

    def index(self, corpus: Corpus) -> None:
        self.built = made(self.retriever)
        self.built.index(corpus)
        self.scores = np.zeros(len(corpus), np.float32)
        self.weights = np.linspace(0.0, 1.0, len(corpus), dtype=np.float32)
        topics = load_suite(self.suite).queries.texts[:SAMPLE]
        base, unit = [], []
        for _ in range(ROUNDS):  # in turn, so that both meet the same noise
            base.append([took(partial(self.built.search, [topic], 100)) for topic in topics])
            unit.append(took(partial(self.work, UNITS)) / UNITS)
        self.units = round(self.extra * float(np.median(np.min(base, axis=0))) / min(unit))

    def work(self, units: int) -> None:
        """*units* passes over the scores of all documents."""
        for _ in range(units):
            np.add(self.scores, self.weights, out=self.scores)
            np.multiply(self.scores, 0.5, out=self.scores)

    def search(self, queries: Sequence[str], k: int) -> Run:
        found = self.built.search(queries, k)
        self.work(self.units * len(queries))
        return found


def took(call: Callable[[], object]) -> int:
    start = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - start
