"""BM25 search, in batches and one query at a time, beside five other engines."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import (
    Fact,
    Mark,
    Missing,
    Plot,
    Result,
    Timing,
    by_turns,
    check_equal,
    need,
    one_thread,
    timings,
)
from benchmarks.corpus import token_ids
from qrels.data import Run
from retrievers.bm25 import BM25, Counted
from retrievers.counting import counted
from retrievers.postings import Postings
from retrievers.tokenise import Tokens

TITLE = "BM25 search"
OURS, NUMBA, PLAIN = "ours", "bm25s, numba", "bm25s"
TANTIVY, SCIPY, RANK = "tantivy", "scipy product", "rank-bm25"
SIZES = {21_000: 1000, 100_000: 400, 1_000_000: 60}
QUICK = {21_000: 300}
"""Queries of a batch for each number of documents."""

DEPTHS = (10, 100, 1000)
SLOW_QUERIES = 8
ALONE = 200
"""Queries at most that are asked one at a time; what is told is their median."""

MOST = {TANTIVY: 100_000, SCIPY: 1_000_000, RANK: 21_000}
"""The largest corpus that a peer gets; the others get all."""

K1, B = 1.2, 0.75  # tantivy's own, which cannot be set
NOTES = (
    "All sides answer from the same token ids, on one thread; bm25s and SciPy search the very "
    "arrays that ours searches, which equal those of bm25s's own index (tests/retrievers).",
    "Our scores are checked to be those of bm25s and of SciPy to 1e-4. Ours are summed in float64 "
    "and ordered by the one rule for ties; the peers sum in float32 and leave ties as they fall.",
    "tantivy keeps the length of a document in one byte, so that only the overlap of the ten best "
    "is told; its queries are built beforehand.",
    "The limit is the time to read the postings of a query, 8 bytes each, at the measured "
    "bandwidth. tantivy, which skips postings, could go below it; ours reads them all.",
)

Answer = Callable[[], object]


@dataclass(frozen=True)
class Scene:
    """An index and the queries put to it."""

    postings: Postings
    documents: Tokens
    queries: Tokens
    tie_order: NDArray[np.int32]

    @property
    def n_docs(self) -> int:
        return len(self.tie_order)

    def __len__(self) -> int:
        return len(self.queries.indptr) - 1

    def first(self, n_queries: int) -> "Scene":
        starts = self.queries.indptr[: n_queries + 1]
        queries = Tokens(starts, self.queries.terms[: starts[-1]])
        return Scene(self.postings, self.documents, queries, self.tie_order)

    def lists(self) -> list[list[int]]:
        starts = self.queries.indptr
        return [part.tolist() for part in np.split(self.queries.terms, starts[1:-1])]


def run(quick: bool) -> Result:
    os.environ["OMP_NUM_THREADS"] = "1"
    found: list[Timing] = []
    facts: list[Fact] = []
    with one_thread():
        bandwidth = _bandwidth()
        facts.append(Fact("bandwidth of reading, one thread", bandwidth / 1e9, "GB/s"))
        for n_docs, n_queries in (QUICK if quick else SIZES).items():
            scene = _scene(n_docs, n_queries)
            peers = _peers(scene)
            facts += _checked(scene, peers)
            batches = [timing for k in DEPTHS for timing in _batch(scene, peers, k)]
            found += [*batches, *_slow(scene, peers), *_alone(scene, peers)]
            facts += _limits(scene, batches, bandwidth)
    plotted = tuple(_batched(10, n_docs) for n_docs in SIZES)
    plot = Plot("documents", "queries a second, the 10 best", only=plotted)
    return Result(tuple(found), _marks(found), tuple(facts), NOTES, plot)


def _scene(n_docs: int, n_queries: int) -> Scene:
    documents, n_terms, queries = token_ids(n_docs, n_queries)
    read = Counted({}, np.diff(documents.indptr), counted(documents, n_terms))
    tie_order = np.random.default_rng(0).permutation(n_docs).astype(np.int32)
    postings = BM25(k1=K1, b=B)._weighed(read)
    return Scene(postings, documents, queries, tie_order)


def _ours(scene: Scene, k: int) -> Run:
    return scene.postings.search(scene.queries, k, scene.tie_order, None)


Peer = Callable[[Scene, int], Any]  # its own form of an answer


def _peers(scene: Scene) -> Mapping[str, Peer]:
    """What each engine that is installed, and can take so many documents, does with a scene."""
    makers: Mapping[str, Callable[[Scene], Peer]] = {
        NUMBA: partial(_bm25s, backend="numba"),
        PLAIN: partial(_bm25s, backend="numpy"),
        TANTIVY: _tantivy,
        SCIPY: _scipy,
        RANK: _rank_bm25,
    }
    found = {}
    for name, make in makers.items():
        if scene.n_docs <= MOST.get(name, scene.n_docs):
            try:
                found[name] = make(scene)
            except Missing:
                continue
    return found


def _bm25s(scene: Scene, backend: str) -> Peer:
    library = need("bm25s")
    need("numba")
    index = library.BM25(method="lucene", k1=K1, b=B, backend=backend)
    postings = scene.postings
    arrays = {"data": postings.impacts, "indices": postings.docs, "indptr": postings.indptr}
    index.scores = {**arrays, "num_docs": scene.n_docs}
    index.vocab_dict = {str(term): term for term in range(len(postings.offsets))}
    index.unique_token_ids_set = set(index.vocab_dict.values())
    index.nonoccurrence_array = None

    def search(scene: Scene, k: int) -> Any:
        return index.retrieve(
            scene.lists(), k=k, n_threads=1, show_progress=False, backend_selection=backend
        )

    return search


def _tantivy(scene: Scene) -> Peer:
    library = need("tantivy")
    builder = library.SchemaBuilder()
    form = {"tokenizer_name": "whitespace", "index_option": "freq"}
    builder.add_text_field("body", stored=False, **form)
    builder.add_integer_field("doc", stored=True)
    schema = builder.build()
    index = library.Index(schema)
    writer = index.writer(heap_size=1_000_000_000, num_threads=1)
    starts, terms = scene.documents
    for doc in range(scene.n_docs):
        body = " ".join(map(str, terms[starts[doc] : starts[doc + 1]].tolist()))
        writer.add_document(library.Document(body=body, doc=doc))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher, should = index.searcher(), library.Occur.Should

    def search(scene: Scene, k: int) -> Any:
        return [searcher.search(query, k, count=False).hits for query in _asked(scene)]

    def _asked(scene: Scene) -> list[Any]:
        if id(scene) not in ready:
            ready[id(scene)] = [
                library.Query.boolean_query(
                    [(should, library.Query.term_query(schema, "body", str(t))) for t in query]
                )
                for query in scene.lists()
            ]
        return ready[id(scene)]

    ready: dict[int, list[Any]] = {}
    return search


def _scipy(scene: Scene) -> Peer:
    from scipy.sparse import csr_array

    postings = scene.postings
    shape = len(postings.offsets), scene.n_docs
    matrix = csr_array((postings.impacts, postings.docs, postings.indptr), shape=shape)

    def search(scene: Scene, k: int) -> NDArray[np.float32]:
        starts, terms = scene.queries
        ones = np.ones(len(terms), np.float32)
        queries = csr_array((ones, terms, starts), shape=(len(starts) - 1, shape[0]))
        product = queries @ matrix
        return np.stack([
            _best(product.data[start:end], product.indices[start:end], k)
            for start, end in zip(product.indptr[:-1], product.indptr[1:], strict=True)
        ])  # fmt: skip

    return search


def _best(scores: NDArray[np.float32], docs: NDArray[np.int32], k: int) -> NDArray[np.float32]:
    """float32 (k,): the k best scores, 0 where there are fewer; their documents are found too."""
    found = np.zeros(k, np.float32)
    chosen = np.argpartition(scores, len(scores) - k)[-k:] if len(scores) > k else slice(None)
    order = np.argsort(-scores[chosen])
    found[: len(order)] = scores[chosen][order]
    _ = docs[chosen][order]
    return found


def _rank_bm25(scene: Scene) -> Peer:
    starts, terms = scene.documents
    texts = [part.tolist() for part in np.split(terms, starts[1:-1])]
    index = need("rank_bm25").BM25Okapi(texts, k1=K1, b=B)

    def search(scene: Scene, k: int) -> Any:
        return [np.argpartition(index.get_scores(query), -k)[-k:] for query in scene.lists()]

    return search


def _checked(scene: Scene, peers: Mapping[str, Peer]) -> list[Fact]:
    """Scores compared with the engines of the same formula; with tantivy, the overlap."""
    few, about = scene.first(20), f"{scene.n_docs:,} documents"
    for k in DEPTHS:
        ours = _ours(few, k).scores
        mine = np.where(np.isinf(ours), 0, ours)
        for name in (NUMBA, PLAIN):
            if name in peers:
                check_equal(f"{name}, {about}", mine, peers[name](few, k).scores, rtol=1e-4)
        check_equal(f"{SCIPY}, {about}", mine, peers[SCIPY](few, k), rtol=1e-4)
    if TANTIVY not in peers:
        return []
    found = [[hit.doc for _, hit in hits] for hits in peers[TANTIVY](few, 10)]
    pairs = zip(found, _ours(few, 10).docs.tolist(), strict=True)
    shared = np.mean([len(set(one) & set(other)) / 10 for one, other in pairs])
    return [Fact("overlap of the ten best with tantivy's", float(shared), "", about)]


def _sides(
    scene: Scene, peers: Mapping[str, Peer], names: Sequence[str], k: int
) -> dict[str, Answer]:
    sides: dict[str, Answer] = {OURS: partial(_ours, scene, k)}
    return sides | {name: partial(peers[name], scene, k) for name in names if name in peers}


def _batch(scene: Scene, peers: Mapping[str, Peer], k: int) -> tuple[Timing, ...]:
    sides = _sides(scene, peers, (NUMBA, TANTIVY, SCIPY), k)
    return timings(_batched(k, scene.n_docs), by_turns(sides, 5), len(scene), scene.n_docs)


def _slow(scene: Scene, peers: Mapping[str, Peer]) -> tuple[Timing, ...]:
    """The slow ones, on few queries, the same for all."""
    sides = _sides(scene.first(SLOW_QUERIES), peers, (PLAIN, RANK), 10)
    return timings(_few(scene.n_docs), by_turns(sides, 5), SLOW_QUERIES)


def _alone(scene: Scene, peers: Mapping[str, Peer]) -> tuple[Timing, ...]:
    """A query a round, every side the same one."""
    starts, terms = scene.queries
    singles = [
        Scene(
            scene.postings, scene.documents, Tokens(np.array([0, len(part)]), part), scene.tie_order
        )
        for part in np.split(terms, starts[1:-1])[: ALONE + 1]
    ]
    names = [name for name in (NUMBA, PLAIN, TANTIVY) if name in peers]

    def in_turn(search: Peer) -> Answer:
        turns = cycle(singles)
        return lambda: search(next(turns), 10)

    for name in names:  # tantivy's queries are built here
        for single in singles:
            peers[name](single, 10)
    sides = {
        name: in_turn(search) for name, search in [(OURS, _ours), *((n, peers[n]) for n in names)]
    }
    return timings(_one(scene.n_docs), by_turns(sides, len(singles) - 1))


def _limits(scene: Scene, batches: Sequence[Timing], bandwidth: float) -> list[Fact]:
    """How long reading the postings alone would take, and how many times that ours takes."""
    postings, about = scene.postings, f"{scene.n_docs:,} documents"
    size = (postings.docs.nbytes + postings.impacts.nbytes) / len(postings.docs)
    read = float(np.diff(postings.indptr)[scene.queries.terms].sum()) / len(scene)
    limit = read * size / bandwidth
    ours = next(float(np.median(t.seconds)) / t.units for t in batches if t.side == OURS)
    return [
        Fact("in memory", size, "bytes a posting", about),
        Fact("postings read", read, "a query", about),
        Fact("limit without skipping any", limit * 1e6, "us a query", about),
        Fact("ours, the ten best, through that limit", ours / limit, "times", about),
        Fact("ours, the ten best", ours / read * 1e9, "ns a posting", about),
    ]


def _bandwidth() -> float:
    """Bytes a second that one thread reads from memory: the best of ten dot products of 1 GiB."""
    many = np.ones(2**28, np.float32)
    best = np.inf
    for _ in range(10):
        start = time.perf_counter_ns()
        many.dot(many)
        best = min(best, (time.perf_counter_ns() - start) / 1e9)
    return many.nbytes / best


def _marks(found: Sequence[Timing]) -> tuple[Mark, ...]:
    sizes = sorted({int(timing.x) for timing in found if timing.x is not None})
    marks = []
    for n_docs in sizes:
        for k in DEPTHS:
            promised = 1.3 if (k, n_docs) == (10, 100_000) else 0.9
            marks.append(Mark(_batched(k, n_docs), OURS, NUMBA, promised))
            if n_docs <= MOST[TANTIVY]:
                marks.append(Mark(_batched(k, n_docs), OURS, TANTIVY, 3.0))
        if n_docs <= MOST[RANK]:
            marks.append(Mark(_few(n_docs), OURS, RANK, 1000.0))
        peers = [NUMBA, PLAIN] + [TANTIVY] * (n_docs <= MOST[TANTIVY])
        marks += [Mark(_one(n_docs), OURS, peer, 1.0) for peer in peers]
    return tuple(marks)


def _batched(k: int, n_docs: int) -> str:
    return f"the {k} best, a batch of queries, {n_docs:,} documents"


def _few(n_docs: int) -> str:
    return f"the 10 best, {SLOW_QUERIES} queries, {n_docs:,} documents"


def _one(n_docs: int) -> str:
    return f"the 10 best, one query alone, {n_docs:,} documents"
