"""The scores that weights are put on: of each field, or of each fused retriever, found once."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import encoders
import retrievers
from bench.config import System
from bench.judge import judge
from bench.metrics import parse_measure
from bench.system import own_documents
from qrels.data import ABSENT, Qrels, Run, Suite
from qrels.errors import UsageError
from qrels.ranking import top_k
from retrievers.fielded import Fielded
from retrievers.fusion import DEPTH, METHODS, Hybrid
from retrievers.vectors import unit

Scores = NDArray[np.float32]
CELLS = 1 << 24
"""How many scores are weighed at a time: 64 MB."""


class Parts(NamedTuple):
    """What a weighting combines.

    scores: float32 (n_parts, n_queries, n_docs), 0 where a part has nothing; present: bool
    (n_parts, n_docs), among which documents the weights are shared out, None for none; gram:
    float64 (n_docs, n_parts, n_parts), dot products of a document's part vectors, where the mean
    is scaled to unit length, else None; hidden: bool (n_queries, n_docs), never returned.
    """

    names: Sequence[str]
    scores: Scores
    present: NDArray[np.bool_] | None
    gram: NDArray[np.float64] | None
    hidden: NDArray[np.bool_] | None


def parts_of(suite: Suite, system: System) -> Parts:
    """The parts that the system's weights are on; UsageError for a retriever that has none."""
    retriever = retrievers.create(system.retriever, system.params)
    kind = next((kind for kind in KINDS if isinstance(retriever, kind)), None)
    if kind is None or system.reranker is not None:
        raise UsageError(
            f"{system.name} has no weights to search; expected fielded or hybrid, not reranked"
        )
    parts = KINDS[kind](suite, retriever)
    if not suite.rules.exclude_self:
        return parts
    own = own_documents(suite)
    hidden = np.zeros(parts.scores.shape[1:], np.bool_)
    rows = np.flatnonzero(own != ABSENT)
    hidden[rows, own[rows]] = True
    return parts._replace(hidden=hidden if parts.hidden is None else parts.hidden | hidden)


def fields(suite: Suite, retriever: Fielded) -> Parts:
    """Dot products of queries and the unit vectors of each field."""
    if retriever.mode != "fields":
        raise UsageError(f"mode is {retriever.mode!r}: only fields that are apart have weights")
    encoder = encoders.load(retriever.encoder)
    corpus = suite.corpus
    names = [n for n in corpus.fields if retriever.fields is None or n in retriever.fields]
    queries = unit(encoder.encode(suite.queries.texts, "query"))
    vectors = np.zeros((len(names), len(corpus), queries.shape[1]), np.float32)
    for number, name in enumerate(names):
        rows = [row for row, text in enumerate(corpus.fields[name]) if text]
        if rows:
            texts = [corpus.fields[name][row] for row in rows]
            vectors[number, rows] = unit(encoder.encode(texts, "passage"))
    return Parts(
        names,
        np.matmul(queries, vectors.transpose(0, 2, 1)),
        np.array([[bool(text) for text in corpus.fields[name]] for name in names]),
        np.einsum("fdv,gdv->dfg", vectors, vectors, dtype=np.float64)
        if retriever.normalize
        else None,
        None,
    )


def lists(suite: Suite, retriever: Hybrid) -> Parts:
    """The scaled scores of each fused retriever, a missing document's where its list lacks it."""
    size = min(retriever.depth or max(DEPTH, suite.depth + suite.rules.exclude_self),
               len(suite.corpus))  # fmt: skip
    shape = (len(suite.queries), len(suite.corpus))
    scores = np.empty((len(retriever.retrievers), *shape), np.float32)
    found = np.zeros(shape, np.bool_)
    for number, spec in enumerate(retriever.retrievers):
        part = retrievers.create(spec)
        part.index(suite.corpus)
        run = Run(*part.search(suite.queries.texts, size))
        values, missing = METHODS[retriever.method](run, retriever.rrf_k)
        scores[number] = missing[:, None]
        rows, columns = np.nonzero(run.docs != ABSENT)
        at = rows, run.docs[rows, columns]
        scores[(number, *at)] = values[rows, columns]
        found[at] = True
    return Parts(list(retriever.retrievers), scores, None, None, ~found)


KINDS: Mapping[type, Callable[..., Parts]] = {Fielded: fields, Hybrid: lists}
"""Which retrievers have weights, and how their parts are had."""


def weighed(parts: Parts, weights: NDArray[np.float64]) -> Scores:
    """float32 (n_weightings, n_queries, n_docs): the scores under each row of *weights*.

    weights: (n_weightings, n_parts). Hidden documents, and those without any part, are -inf or 0
    as the retriever has them.
    """
    n_parts, n_queries, n_docs = parts.scores.shape
    scores = weights.astype(np.float32) @ parts.scores.reshape(n_parts, -1)
    scores = scores.reshape(len(weights), n_queries, n_docs)
    if parts.present is not None:
        total = weights @ parts.present
        if parts.gram is not None:  # the length of the sum, which the share then drops out of
            total = np.sqrt(np.einsum("wf,dfg,wg->wd", weights, parts.gram, weights, optimize=True))
        scores *= np.divide(1, total, out=np.zeros_like(total), where=total > 0)[:, None].astype(
            np.float32
        )
    if parts.hidden is not None:
        scores[:, parts.hidden] = -np.inf
    return scores


def measured(
    parts: Parts, suite: Suite, measure: str, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """float64 (n_weightings, n_queries): the measure under each weighting, ranked and judged."""
    wanted = parse_measure(measure)
    depth = min(wanted.cutoff or suite.depth, suite.depth)
    n_queries, n_docs = parts.scores.shape[1:]
    step = max(1, CELLS // (n_queries * n_docs))
    values = np.empty((len(weights), n_queries))
    for start in range(0, len(weights), step):
        chunk = weights[start : start + step]
        scores = weighed(parts, chunk).reshape(-1, n_docs)
        run = top_k(scores, depth, suite.corpus.tie_order)
        judged = judge(run, repeated(suite.qrels, len(chunk)))
        values[start : start + step] = wanted.values(judged).reshape(len(chunk), n_queries)
    return values


def repeated(qrels: Qrels, times: int) -> Qrels:
    """The same judgements for as many copies of all queries, one copy behind the other."""
    ends = qrels.indptr[1:] + np.arange(times)[:, None] * qrels.indptr[-1]
    starts = np.concatenate([[0], ends.ravel()])
    return Qrels(starts, np.tile(qrels.docs, times), np.tile(qrels.grades, times))
