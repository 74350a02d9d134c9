"""Vector stores beside `dense`: filling them, one query, a batch, a batch under a filter.

PostgreSQL is one that the benchmark starts; where none with pgvector is found, its rows are left
out, as are those of packages that are not installed.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import Fact, Result, Timing, by_turns, check_equal, threads, timings
from benchmarks.vectors import Vectors, real, synthetic
from qrels.data import Column, Corpus, Filter, Run
from qrels.errors import MissingPackageError
from retrievers import create
from retrievers.approximate import recalls
from retrievers.base import Retriever
from retrievers.stored import Stored
from retrievers.vectors import named

TITLE = "Vector stores"
DENSE = "dense"
K = 10
BATCH = 50
SINGLE = 20
"""Queries asked one after another, of which the mean is taken."""

ROUNDS = 3
PASSAGES = 10_000
"""Qdrant's local mode filters documents one by one: more would take it minutes."""

SIDES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    DENSE: ("dense", {}),
    "qdrant, local mode": ("qdrant", {"url": ":memory:"}),
    "pgvector": ("pgvector", {}),
    "lancedb": ("lancedb", {}),
    "milvus, Lite": ("milvus", {}),
    "pgvector, hnsw": ("pgvector", {"kind": "hnsw", "search_params": {"ef_search": 100}}),
    "pgvector, ivfflat": (
        "pgvector",
        {"kind": "ivfflat", "build_params": {"lists": 100}, "search_params": {"probes": 10}},
    ),
    "lancedb, ivf": (
        "lancedb",
        {"kind": "ivf", "build_params": {"num_partitions": 100}, "search_params": {"nprobes": 10}},
    ),
    "lancedb, hnsw": (
        "lancedb",
        {"kind": "hnsw", "build_params": {"num_partitions": 1}, "search_params": {"ef": 100}},
    ),
    "milvus, Lite, hnsw": (
        "milvus",
        {"kind": "hnsw", "build_params": {"M": 16, "efConstruction": 64},
         "search_params": {"ef": 100}},
    ),
    "milvus, Lite, ivf": (
        "milvus",
        {"kind": "ivf", "build_params": {"nlist": 100}, "search_params": {"nprobe": 10}},
    ),
}  # fmt: skip
WHERE = (Filter("tenth", "=", "0"), Filter("number", ">=", 1000))


class Side(NamedTuple):
    """A retriever that holds the vectors, and how long that took."""

    retriever: Any  # a Retriever whose search is in two stages
    build_s: float


def run(quick: bool) -> Result:
    """All sides over the same vectors; the exact ones must rank as `dense`, checked first."""
    vectors = synthetic(2_000, BATCH, 384) if quick else real(PASSAGES, BATCH)
    notes = [
        f"{len(vectors.passages):,} vectors of {vectors.passages.shape[1]} numbers, "
        f"k = {K}; queries are encoded beforehand. Exact rankings are those of dense, bit by bit."
    ]
    with ExitStack() as stack, threads(2):
        sides = dict(_sides(vectors, stack, notes.append))
        found, shares = list(_timings(sides, vectors)), list(_recalls(sides, vectors))
    builds = [Fact(f"{name}: build", side.build_s, "s") for name, side in sides.items()]
    return Result(tuple(found), (), (*builds, *shares), tuple(notes))


def _sides(
    vectors: Vectors, stack: ExitStack, note: Callable[[str], None]
) -> Iterator[tuple[str, Side]]:
    """Each side, filled; *note* hears of those that cannot be had."""
    from tools.postgres import Absent, started  # the checkout's

    folder, url = Path(stack.enter_context(tempfile.TemporaryDirectory())), None
    try:
        url = stack.enter_context(started())
    except Absent as absent:
        note(f"pgvector is left out: {absent}")
    urls = {"pgvector": url, "lancedb": str(folder / "lance"), "milvus": str(folder / "milvus")}
    corpus = _corpus(len(vectors.passages))
    for name, (spec, params) in SIDES.items():
        if spec == "pgvector" and url is None:
            continue
        given = {"url": urls[spec]} if spec in urls else {}
        retriever = create(spec, {**given, **params})
        try:
            yield name, Side(retriever, _fill(retriever, vectors, corpus))
        except MissingPackageError as missing:
            note(f"{name} is left out: {missing}")
            continue
        if spec != DENSE:
            stack.callback(retriever.close)  # type: ignore[attr-defined]  # every store has it


def _corpus(size: int) -> Corpus:
    numbers = np.arange(size)
    tenth = Column("str", (numbers % 10).astype(str).astype(object))
    metadata = {"number": Column("int", numbers.astype(np.float64)), "tenth": tenth}
    return Corpus([f"{number:07}" for number in numbers], {}, metadata)


def _fill(retriever: Retriever, vectors: Vectors, corpus: Corpus) -> float:
    """Index vectors that are given: what `index` does with those it encodes; its seconds."""
    side: Any = retriever  # the shared half of vector retrievers
    start = time.perf_counter()
    side._keep(named(Stored(vectors.passages)), corpus)
    if hasattr(side, "_ready"):
        side._ready()
    return time.perf_counter() - start


def _timings(sides: Mapping[str, Side], vectors: Vectors) -> Iterator[Timing]:
    """The exact sides take turns, and the approximate ones, each group beside `dense`."""
    groups = {"exact": False, "approximate": True}
    for group, wanted in groups.items():
        chosen = {name: side for name, side in sides.items() if _approximate(side) == wanted}
        chosen = {DENSE: sides[DENSE], **chosen}
        for work, ask, units in WORKS:
            calls = {
                name: partial(ask, side.retriever, vectors.queries) for name, side in chosen.items()
            }
            if not wanted:
                for name, call in calls.items():
                    check_equal(f"{work}, {name}", calls[DENSE]().docs, call().docs)
            yield from timings(f"{group}, {work}", by_turns(calls, ROUNDS), units)


def _approximate(side: Side) -> bool:
    return getattr(side.retriever, "kind", "exact") != "exact"


def _alone(retriever: Any, queries: Any) -> Run:
    """One query after another."""
    runs = [retriever.search_encoded(queries[row : row + 1], K) for row in range(SINGLE)]
    return Run(*map(np.concatenate, zip(*runs, strict=True)))


def _together(retriever: Any, queries: Any) -> Run:
    answer: Run = retriever.search_encoded(queries[:BATCH], K)
    return answer


def _filtered(retriever: Any, queries: Any) -> Run:
    answer: Run = retriever.search_encoded(queries[:BATCH], K, WHERE)
    return answer


WORKS: tuple[tuple[str, Callable[[Any, Any], Run], int], ...] = (
    ("a query alone", _alone, SINGLE),
    (f"{BATCH} at once", _together, BATCH),
    (f"{BATCH} at once, filtered to a tenth", _filtered, BATCH),
)


def _recalls(sides: Mapping[str, Side], vectors: Vectors) -> Iterator[Fact]:
    exact = _together(sides[DENSE].retriever, vectors.queries)
    for name, side in sides.items():
        if _approximate(side):
            share = recalls(_together(side.retriever, vectors.queries), exact, K).mean()
            settings = side.retriever.about()
            shown = ", ".join(f"{key} {value}" for key, value in settings.items() if key != "kind")
            yield Fact(f"{name}: recall@{K}", float(share), "", shown)
