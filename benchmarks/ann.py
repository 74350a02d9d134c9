"""Approximate search through FAISS, hnswlib and usearch: recall against latency, on one thread."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import (
    Fact,
    Missing,
    Plot,
    Result,
    Timing,
    by_turns,
    check_equal,
    need,
    one_thread,
    threads,
)
from benchmarks.vectors import Floats, Vectors, real, synthetic
from qrels.data import Corpus, Run
from retrievers.approximate import Setting, recalls
from retrievers.faiss_index import Faiss
from retrievers.stored import Stored
from retrievers.vectors import named, search_vectors

TITLE = "Approximate search"

K = 10
TARGETS = (0.8, 0.9, 0.95, 0.99)
ASKED = 0.95
SINGLE, BATCH, ROUNDS = 100, 200, 3
"""Queries that are timed one at a time and at once; recall is of all."""

LINKS, CONSTRUCTION = 32, 40
"""Of a graph over real vectors, ours and the peers': links a node, candidates while building."""

TRAINED = 200_000
"""Vectors that lists and codes are made from, at most."""

BUILDERS = 2
"""Threads that build; searching is on one."""

GRAPH = (18, 32, 48, 64, 96, 128, 192, 320)
LISTS = (4, 8, 16, 32, 64, 128, 256)
KINDS: Mapping[str, tuple[str, Sequence[Setting]]] = {
    "HNSW": (f"HNSW{LINKS}", [{"efSearch": ef} for ef in GRAPH]),
    "IVF": ("ivf", [{"nprobe": n} for n in LISTS]),
    "IVFPQ": ("ivfpq", [{"k_factor_rf": 3, "nprobe": n} for n in LISTS]),
    "SQ8": ("sq8", [{}]),
}
"""By name a factory of ours and the settings that its curve is drawn from."""

NOTES = (
    "Ours are FAISS indexes behind the retriever, its tie rule included; hnswlib and usearch are "
    f"called directly. Graphs have {LINKS} links a node and {CONSTRUCTION} candidates while they "
    f"are built, by {BUILDERS} threads; a million vectors {LINKS // 2} links. Searching is on one "
    "thread. IVFPQ scores its candidates again by their 8-bit vectors.",
    "A row takes of each index the fastest setting that reaches the recall; a dash: none does.",
    "Synthetic vectors flatter approximate search: choose nothing by them. The real ones are "
    "MiniLM's of sentences, asked with real questions.",
)
CURVE = "recall against rate"


class Index(NamedTuple):
    """How to search an index and to set it, its settings to try, and its seconds to build."""

    search: Callable[[Floats], NDArray[Any]]  # (n_queries, K), whole numbers
    set: Callable[[Setting], None]
    settings: Sequence[Setting]
    build_s: float


def run(quick: bool) -> Result:
    if quick:
        name, vectors = "5,000 synthetic vectors", synthetic(5_000, 200)
        timings, facts = _found(name, vectors, KINDS, PEERS)
        return Result(timings, (), facts, NOTES)
    curve, facts = _found("50,000 real sentences", real(), KINDS, PEERS)
    kinds = {**KINDS, "HNSW": (f"HNSW{LINKS // 2}", KINDS["HNSW"][1])}
    more, others = _found("1 million synthetic vectors", synthetic(1_000_000, 500), kinds, {})
    flat = tuple(timing for timing in more if timing.x is None)
    plot = Plot("recall@10", "queries a second", "rate", (CURVE,), x_scale="linear")
    return Result(curve + flat, (), facts + others, NOTES, plot)


def _found(
    name: str,
    vectors: Vectors,
    kinds: Mapping[str, tuple[str, Sequence[Setting]]],
    peers: Mapping[str, Callable[[Floats], Index]],
) -> tuple[tuple[Timing, ...], tuple[Fact, ...]]:
    """Timings and facts of one set of vectors."""
    corpus = Corpus([f"{n:07}" for n in range(len(vectors.passages))], {})
    retrievers = {
        side: Faiss(factory=factory, training=TRAINED) for side, (factory, _) in kinds.items()
    }
    with threads(BUILDERS):
        indexes = {
            side: _ours(retriever, vectors.passages, corpus, kinds[side][1])
            for side, retriever in retrievers.items()
        }
        for side, build in peers.items():
            try:
                indexes[side] = build(vectors.passages)
            except Missing:
                continue
    with one_thread():
        exact = _exact(vectors.passages, corpus)
        truth = Run(exact(vectors.queries), np.empty(0, np.float32))
        timings = tuple(_measured(name, vectors.queries, indexes, exact, truth))
        facts = [Fact(f"{name}: build {side}", i.build_s, "s") for side, i in indexes.items()]
        for side, retriever in retrievers.items() if len(vectors.cuts) else ():
            facts += _automatic(f"{name}: {side}", retriever, vectors, indexes[side], truth)
    return timings, tuple(facts)


def _exact(passages: Floats, corpus: Corpus) -> Callable[[Floats], NDArray[Any]]:
    """Our exact search of the passages."""
    arrays = named(Stored(passages))

    def search(queries: Floats) -> NDArray[Any]:
        return search_vectors(
            passages, queries, K, "cosine", corpus.tie_order, norms=arrays["norms"]
        ).docs

    found = passages[search(passages[:5])[:, 0]]
    best = (passages[:5] @ passages.T).max(axis=1)
    check_equal("exact search", (found * passages[:5]).sum(axis=1), best, atol=1e-5)
    return search


def _ours(retriever: Faiss, passages: Floats, corpus: Corpus, settings: Sequence[Setting]) -> Index:
    """The retriever over vectors that are given: what its `index` does with those it encodes."""
    start = time.perf_counter()
    retriever._keep(retriever._built(passages), corpus)
    return Index(
        lambda queries: retriever.search_encoded(queries, K).docs,
        retriever._set, settings, time.perf_counter() - start,
    )  # fmt: skip


def _hnswlib(passages: Floats) -> Index:
    size, dimension = passages.shape
    found = need("hnswlib").Index("ip", dimension)
    start = time.perf_counter()
    found.init_index(size, ef_construction=CONSTRUCTION, M=LINKS, random_seed=0)
    found.set_num_threads(BUILDERS)
    found.add_items(passages)
    build_s = time.perf_counter() - start
    found.set_num_threads(1)
    return Index(
        lambda queries: found.knn_query(queries, K)[0],
        lambda setting: found.set_ef(setting["efSearch"]),
        KINDS["HNSW"][1], build_s,
    )  # fmt: skip


def _usearch(passages: Floats) -> Index:
    found = need("usearch.index").Index(
        ndim=passages.shape[1], metric="ip", dtype="f32", connectivity=LINKS,
        expansion_add=CONSTRUCTION,
    )  # fmt: skip
    start = time.perf_counter()
    found.add(np.arange(len(passages)), passages, threads=BUILDERS)
    build_s = time.perf_counter() - start

    def search(queries: Floats) -> NDArray[Any]:
        keys = found.search(queries, K, threads=1).keys
        return np.asarray(keys).reshape(len(queries), K)

    return Index(
        search, lambda setting: setattr(found, "expansion_search", setting["efSearch"]),
        KINDS["HNSW"][1], build_s,
    )  # fmt: skip


PEERS: Mapping[str, Callable[[Floats], Index]] = {"hnswlib": _hnswlib, "usearch": _usearch}


class Point(NamedTuple):
    """One setting of one index: what it finds, and its seconds one at a time and in a batch."""

    side: str
    recall: float
    single: tuple[float, ...]
    batch: tuple[float, ...]


def _measured(
    name: str,
    queries: Floats,
    indexes: Mapping[str, Index],
    exact: Callable[[Floats], NDArray[Any]],
    truth: Run,
) -> Iterator[Timing]:
    """The curve, and a row a target with each side's fastest setting that reaches it."""
    points = list(_points(queries, indexes, exact, truth))
    for point in points:
        yield Timing(CURVE, point.side, point.single, SINGLE, point.recall)
    ways = {"single": ("a query alone", SINGLE), "batch": (f"{BATCH} at once", BATCH)}
    for target in TARGETS:
        for way, (shown, units) in ways.items():
            work = f"{name}, recall {target}, {shown}"
            for side in dict.fromkeys(point.side for point in points):
                enough = [p for p in points if p.side == side and p.recall >= target]
                if enough:
                    best = min((getattr(point, way) for point in enough), key=np.median)
                    yield Timing(work, side, best, units)


def _points(
    queries: Floats,
    indexes: Mapping[str, Index],
    exact: Callable[[Floats], NDArray[Any]],
    truth: Run,
) -> Iterator[Point]:
    """Every setting of every index; all take turns."""
    sides: dict[str, tuple[str, Callable[[Floats], Any], float]] = {"exact": ("exact", exact, 1.0)}
    for side, index in indexes.items():
        for setting in index.settings:
            search = partial(_search, index, setting)
            found = Run(search(queries), truth.scores)
            share = float(recalls(found, truth, K).mean())
            sides[f"{side} {setting}"] = (side, search, share)
    calls = {key: search for key, (_, search, _) in sides.items()}
    batch = by_turns({key: partial(call, queries[:BATCH]) for key, call in calls.items()}, ROUNDS)
    alone = by_turns(
        {key: partial(_one_by_one, call, queries) for key, call in calls.items()}, ROUNDS
    )
    for key, (side, _, share) in sides.items():
        yield Point(side, share, tuple(alone[key]), tuple(batch[key]))


def _search(index: Index, setting: Setting, queries: Floats) -> NDArray[Any]:
    index.set(setting)
    return index.search(queries)


def _one_by_one(search: Callable[[Floats], Any], queries: Floats) -> None:
    for row in range(SINGLE):
        search(queries[row : row + 1])


def _automatic(
    name: str, retriever: Faiss, vectors: Vectors, index: Index, truth: Run
) -> Iterator[Fact]:
    """What `recall` sets by queries cut from the corpus, and what it is worth for real ones."""
    tried = retriever._tuned(vectors.passages, vectors.cuts, ASKED)
    docs = _search(index, tried.setting, vectors.queries)
    share = float(recalls(Run(docs, truth.scores), truth, K).mean())
    settings = ", ".join(f"{key} {value}" for key, value in tried.setting.items())
    note = f"{settings or 'nothing to set'}; {tried.recall:.4f} by queries cut from the corpus"
    yield Fact(f"{name} asked for {ASKED}, recall for real queries", share, "", note)
