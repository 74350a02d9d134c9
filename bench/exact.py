"""What an approximate retriever gives up, and gains, against exact search of the same vectors."""

import time
from collections.abc import Callable

import numpy as np

from bench.system import Built
from bench.system import index as build_index
from encoders.cache import cache_policy
from qrels.data import Suite
from reports.record import ExactInfo
from retrievers.approximate import recalls
from retrievers.base import Approximates

QUERIES = 1000
"""Of a suite's queries, evenly spaced, those that recall is measured on, at most."""

FIRST = 10

Rounds = list[list[dict[str, int]]]  # by round and query, nanoseconds by stage


def against_exact(
    built: Built, suite: Suite, answers: Callable[[Built], Rounds]
) -> ExactInfo | None:
    """Recall, and the time of exact search; None for a retriever that is not `Approximates`.

    answers: asks a system the queries whose latency is sampled.
    """
    if not isinstance(built.retriever, Approximates):
        return None
    twin = Built(built.system, built.corpus, built.retriever.exact(), None)
    with cache_policy(queries=False) as encoding:
        start = time.perf_counter_ns()
        build_index(twin)
        build_ns = time.perf_counter_ns() - start
    texts, depth = suite.queries.texts, suite.depth
    picks = np.unique(np.linspace(0, len(texts) - 1, min(len(texts), QUERIES)).astype(int))
    asked = [texts[pick] for pick in picks]
    found, exact = (part.retriever.search(asked, depth) for part in (built, twin))
    return ExactInfo(
        about=dict(built.retriever.about()),
        recall={
            str(cutoff): tuple(recalls(found, exact, cutoff).tolist())
            for cutoff in sorted({min(FIRST, depth), depth})
        },
        build_ns=max(0, build_ns - encoding.encode_ns - encoding.load_ns),
        search_ns=tuple(tuple(query["search"] for query in one) for one in answers(twin)),
    )
