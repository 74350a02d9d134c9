"""One system at work: made by name, indexed, searched, reranked, each result checked."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

import generators
import rerankers
import retrievers
from bench.config import System
from generators.base import Checks, Generator
from generators.context import Context
from generators.context import create as make_context
from qrels.data import ABSENT, Corpus, Filter, Run, Suite
from qrels.errors import BenchError, PluginError
from qrels.files import shown
from qrels.ranking import check_run
from rerankers.base import Prepares, Reranker
from retrievers.base import Closes, Retriever, Told, can_filter
from retrievers.filters import matching


class Built(NamedTuple):
    """A system over a corpus, ready to search."""

    system: System
    corpus: Corpus
    retriever: Retriever
    reranker: Reranker | None
    generator: Generator | None = None
    context: Context = Context()


def make(system: System, corpus: Corpus) -> Built:
    """The system's parts, made but not indexed; wrong names and parameters are UsageErrors."""
    try:
        retriever = retrievers.create(system.retriever, system.params)
        reranker = (
            rerankers.create(system.reranker, system.reranker_params) if system.reranker else None
        )
        generator = (
            generators.create(system.generator, system.generator_params)
            if system.generator
            else None
        )
        if isinstance(generator, Checks):
            generator.check()
        context = make_context(system.context)
    except BenchError:
        raise
    except Exception as error:  # a plug-in's constructor may raise anything
        name = type(error).__name__
        raise PluginError(f"{system.name}: its constructor raised {name}: {error}") from error
    return Built(system, corpus, retriever, reranker, generator, context)


def index(built: Built) -> None:
    """Index the corpus, and let the reranker prepare where it can."""
    built.retriever.index(built.corpus)
    if isinstance(built.reranker, Prepares):
        built.reranker.prepare(built.corpus)


def close(built: Built) -> None:
    """Let go of what the parts hold: connections, files, processes."""
    for part in (built.retriever, built.reranker, built.generator):
        if isinstance(part, Closes):
            part.close()


def retrieve(
    built: Built,
    queries: Sequence[str],
    k: int,
    where: Sequence[Filter] = (),
    exclude: NDArray[np.int32] | None = None,
) -> Run:
    """The first stage's checked rankings, (n_queries, k), exact under *where*.

    exclude: int32 (n_queries,), a document never returned for each query, -1 for none. A
    retriever that cannot filter is asked for the whole corpus, and its answer is filtered.
    """
    fetch = k if exclude is None else k + 1
    name = f"{built.system.retriever}.search"
    if not where:
        answer = built.retriever.search(queries, fetch)
        run = checked(built, answer, (len(queries), fetch), name)
    elif can_filter(built.retriever):
        answer = built.retriever.search(queries, fetch, where)
        run = checked(built, answer, (len(queries), fetch), name)
    else:
        size = len(built.corpus)
        whole = checked(built, built.retriever.search(queries, size), (len(queries), size), name)
        keep = matching(built.corpus.metadata, where, size)
        assert keep is not None  # where is not empty
        run = drop(whole, ~keep[whole.docs], fetch)
    return run if exclude is None else drop(run, run.docs == exclude[:, None], k)


def checked(built: Built, answer: object, shape: tuple[int, int], name: str) -> Run:
    """What a part answered, checked; an answer that is the whole corpus may be narrower than k."""
    docs, scores = pair(answer, name)
    size = (shape[0], len(built.corpus))
    if docs.shape == scores.shape == size and size[1] < shape[1]:
        short = ((0, 0), (0, shape[1] - size[1]))
        docs = np.pad(docs, short, constant_values=ABSENT)
        scores = np.pad(scores.astype(np.float32), short, constant_values=-np.inf)
    return check_run(docs, scores, shape, built.corpus.tie_order, name)


def pair(answer: object, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """A plug-in's answer as two arrays; PluginError where it is nothing of the kind."""
    try:
        first, second = cast("Iterable[Any]", answer)  # it may be anything
        return np.asarray(first), np.asarray(second)
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"{name} returned {shown(answer)}; expected docs and scores, two arrays"
        ) from error


def drop(run: Run, unwanted: NDArray[np.bool_], k: int) -> Run:
    """The rankings without the *unwanted* places, closed up and cut or padded to k."""
    gone = unwanted | (run.docs == ABSENT)
    order = np.argsort(gone, axis=1, kind="stable")[:, :k]
    kept = ~np.take_along_axis(gone, order, axis=1)
    docs = np.where(kept, np.take_along_axis(run.docs, order, axis=1), ABSENT)
    scores = np.where(kept, np.take_along_axis(run.scores, order, axis=1), -np.inf)
    short = ((0, 0), (0, k - docs.shape[1]))
    return Run(
        np.pad(docs, short, constant_values=ABSENT).astype(np.int32),
        np.pad(scores, short, constant_values=-np.inf).astype(np.float32),
    )


def rerank(built: Built, queries: Sequence[str], run: Run) -> Run:
    """The run with its first rerank_depth documents reordered, the rest beneath as they were."""
    if built.reranker is None:
        return run
    depth = min(built.system.rerank_depth, run.docs.shape[1])
    name = f"{built.system.reranker}.rerank"
    answer = built.reranker.rerank(queries, run, built.corpus, depth)
    head = checked(built, answer, (len(queries), depth), name)
    if not np.array_equal(np.sort(head.docs, axis=1), np.sort(run.docs[:, :depth], axis=1)):
        raise PluginError(f"{name} returned other documents than the {depth} it was given")
    return beneath(head, Run(run.docs[:, depth:], run.scores[:, depth:]))


def beneath(head: Run, tail: Run) -> Run:
    """head followed by tail; the tail keeps its order and scores lower, by at least 1 a rank."""
    if not tail.docs.size or not head.docs.size:
        return Run(*(np.concatenate(pair, axis=1) for pair in zip(head, tail, strict=True)))
    lowest = np.where(np.isfinite(head.scores), head.scores, np.inf).min(axis=1, keepdims=True)
    start = np.where(np.isfinite(lowest), lowest, 0.0)
    step = np.maximum(1.0, 2.0 * np.spacing(np.abs(start).astype(np.float32)))
    scores = np.floor(start) - step * np.arange(1, tail.docs.shape[1] + 1)
    scores = np.where(tail.docs == ABSENT, -np.inf, scores).astype(np.float32)
    return Run(
        np.concatenate([head.docs, tail.docs], axis=1),
        np.concatenate([head.scores, scores], axis=1),
    )


def search_suite(suite: Suite, system: System) -> Run:
    """The system's checked rankings of all the suite's queries, (n_queries, depth)."""
    built = make(system, suite.corpus)
    try:
        tell(built.retriever, suite)
        index(built)
        exclude = own_documents(suite) if suite.rules.exclude_self else None
        run = retrieve(built, suite.queries.texts, suite.depth, exclude=exclude)
        return rerank(built, suite.queries.texts, run)
    finally:
        close(built)


def tell(retriever: Retriever, suite: Suite) -> None:
    """Tell a retriever the judgements where it is one that needs them, a ceiling."""
    if isinstance(retriever, Told):
        retriever.tell(suite.queries.texts, suite.qrels, suite.rules.relevance_level)


def own_documents(suite: Suite) -> NDArray[np.int32]:
    """int32 (n_queries,): the position of the document with the query's own id, -1 for none."""
    positions = suite.corpus.positions
    return np.array([positions.get(q, ABSENT) for q in suite.queries.query_ids], np.int32)
