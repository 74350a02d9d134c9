"""Hard negatives: documents that a system ranks high for a question, and that are not relevant.

A document that the judgements call relevant is left out, and so is one that scores nearly as high
as the relevant one, or higher: judgements are sparse, and it may well be relevant too.
Source: Moreira et al. 2024, arXiv 2407.15831, "positive-aware" mining by a share of the score.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.config import parse_system
from bench.system import search_suite
from qrels.data import Suite


class Mined(NamedTuple):
    """Positions of each query's hard negatives, best first; how many queries have none."""

    negatives: list[list[int]]
    without: int


def mine(suite: Suite, spec: str, number: int, depth: int, margin: float) -> Mined:
    """At most *number* hard negatives a query, from the first *depth* documents of a system.

    spec: `retriever[+reranker][?key=value]`. margin: a negative scores at most this share of the
    best relevant document; where no relevant one is found a query has no hard negatives.
    """
    run = search_suite(replace(suite, depth=depth), parse_system(spec))
    relevant = relevant_documents(suite)
    rows = [
        chosen(docs, scores, known, number, margin)
        for docs, scores, known in zip(run.docs, run.scores, relevant, strict=True)
    ]
    return Mined(rows, sum(not row for row in rows))


def chosen(
    docs: NDArray[np.int32],
    scores: NDArray[np.float32],
    relevant: frozenset[int],
    number: int,
    margin: float,
) -> list[int]:
    """The hard negatives of one ranking. docs, scores: (depth,), padded by -1 and -inf."""
    known = np.isin(docs, list(relevant))
    if not known.any():
        return []
    best = float(scores[known].max())
    limit = best - (1 - margin) * abs(best)  # a share of a score below 0 is further down too
    fits = ~known & (docs >= 0) & (scores <= limit)
    return [int(doc) for doc in docs[fits][:number]]


def relevant_documents(suite: Suite) -> list[frozenset[int]]:
    """The positions of each query's relevant documents, those that the corpus has."""
    qrels, level = suite.qrels, suite.rules.relevance_level
    bounds = zip(qrels.indptr, qrels.indptr[1:], strict=False)
    return [
        frozenset(
            int(doc)
            for doc, grade in zip(qrels.docs[a:b], qrels.grades[a:b], strict=True)
            if grade >= level and doc < len(suite.corpus)
        )
        for a, b in bounds
    ]
