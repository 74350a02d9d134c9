"""Exact dense search against NumPy, torch and FAISS, in every batch size, by the same threads."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import (
    Fact,
    Mark,
    Plot,
    Result,
    Timing,
    by_turns,
    check_equal,
    need,
    threads,
    timings,
)
from retrievers.candidates import spread
from retrievers.stored import DTYPES
from retrievers.vectors import row_norms, search_vectors, unit

TITLE = "Exact dense search"
OURS = "ours"
DIMENSION = 384
BLOCK = 16384
BATCHES = (1, 32, 1000)
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)

Floats = NDArray[np.float32]
Search = Callable[[Floats, int], NDArray[Any]]  # queries, k: documents (n_queries, k)


def run(quick: bool) -> Result:
    """Every batch and k by one thread and by two; a growing corpus; float16 and int8.

    quick: one thread and the ten best alone; with more, a busy machine tells too little.
    """
    size = 10_000 if quick else max(SIZES)
    matrix, queries = _vectors(size, 0), _vectors(max(BATCHES), 1)
    found: list[Timing] = []
    facts: list[Fact] = []
    for number in (1,) if quick else (1, 2):
        with threads(number):
            sides = _sides(matrix)
            for k in (10,) if quick else (10, 100):
                for batch in BATCHES:
                    rounds = 5 if batch == max(BATCHES) else 15
                    work = _work(size, batch, k, number)
                    found += _compared(work, sides, queries[:batch], k, rounds)
            facts += _limits(matrix, queries, number, {t.work: t for t in found if t.side == OURS})
    marks = [Mark(t.work, OURS, t.side, 1 / 1.1) for t in found if t.side != OURS]
    with threads(1):
        growing = [
            timing
            for n_docs in SIZES
            if n_docs <= size
            for timing in _compared(
                f"{n_docs:,} documents, 32 queries", _sides(matrix[:n_docs]), queries[:32], 10, 5,
                n_docs,
            )
        ]  # fmt: skip
        kept, quality = _kept(matrix, queries)
    return Result(
        (*found, *growing, *kept),
        tuple(marks),
        (*facts, *quality),
        ("Vectors are random and of length 1. Documents found are the same, checked first.",),
        Plot("documents", "queries a second", "rate", tuple({t.work: 0 for t in growing})),
    )


def _work(size: int, batch: int, k: int, number: int) -> str:
    return f"{size:,} x {DIMENSION}, batch {batch:,}, k = {k}, threads {number}"


def _vectors(count: int, seed: int) -> Floats:
    return unit(np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32))


def _compared(
    work: str,
    sides: dict[str, Search],
    queries: Floats,
    k: int,
    rounds: int,
    x: float | None = None,
) -> tuple[Timing, ...]:
    ours = sides[OURS](queries, k)
    for name, search in sides.items():
        check_equal(f"{work}, {name}", ours, _by_score(search, queries, k, ours))
    calls = {name: partial(search, queries, k) for name, search in sides.items()}
    return timings(work, by_turns(calls, rounds), len(queries), x)


def _by_score(search: Search, queries: Floats, k: int, ours: NDArray[Any]) -> NDArray[Any]:
    """What a peer found, in our order where it differs in order alone: by float32 rounding."""
    theirs = np.asarray(search(queries, k))
    same = (np.sort(theirs, axis=1) == np.sort(ours, axis=1)).all(axis=1)
    return np.where(same[:, None], ours, theirs)


def _sides(matrix: Floats) -> dict[str, Search]:
    """Ours and the peers, each over *matrix*, ready to search by dot product."""
    faiss, torch = need("faiss"), need("torch")
    flat, tensor = faiss.IndexFlatIP(DIMENSION), torch.from_numpy(matrix)
    flat.add(matrix)
    return {
        OURS: _ours(matrix),
        "numpy": partial(_numpy, matrix),
        "torch": partial(_torch, torch, tensor),
        "faiss": lambda queries, k: flat.search(queries, k)[1],
    }


def _ours(matrix: NDArray[Any], factors: Floats | None = None) -> Search:
    order, norms = np.arange(len(matrix), dtype=np.int32), row_norms(matrix, factors)
    return lambda queries, k: (
        search_vectors(matrix, queries, k, "dot", order, norms=norms, factors=factors).docs
    )


def _blocks(size: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, size, BLOCK))


def _numpy(matrix: Floats, queries: Floats, k: int) -> NDArray[Any]:
    """A product a block, argpartition for its k best, then the best of all blocks."""
    docs, scores = [], []
    for here in _blocks(len(matrix)):
        found = queries @ matrix[here].T
        behind = max(found.shape[1] - k, 0)
        best = np.argpartition(found, behind, axis=1)[:, behind:]
        docs.append(best + here.start)
        scores.append(np.take_along_axis(found, best, axis=1))
    order = np.argsort(-np.concatenate(scores, axis=1), axis=1)[:, :k]
    return np.take_along_axis(np.concatenate(docs, axis=1), order, axis=1)


def _torch(torch: Any, matrix: Any, queries: Floats, k: int) -> NDArray[Any]:
    """A product and topk a block, then topk of all blocks; a module and a tensor."""
    docs, scores, sought = [], [], torch.from_numpy(queries)
    for here in _blocks(len(matrix)):
        found = sought @ matrix[here].T
        best, places = torch.topk(found, min(k, found.shape[1]), dim=1)
        docs.append(places + here.start)
        scores.append(best)
    _, order = torch.topk(torch.cat(scores, dim=1), k, dim=1)
    return np.asarray(torch.gather(torch.cat(docs, dim=1), 1, order).numpy())


def _limits(
    matrix: Floats, queries: Floats, number: int, ours: dict[str, Timing]
) -> Iterator[Fact]:
    """What the machine can do, measured now, and the share of it that our search comes to."""
    many, size = max(BATCHES), len(matrix)
    read = _fastest(_reading(number))
    multiply = _fastest(lambda: [matrix[at : at + 4096] @ queries.T for at in range(0, size, 4096)])
    seconds = {batch: float(min(ours[_work(size, batch, 10, number)].seconds)) for batch in BATCHES}
    operations, where = 2 * matrix.size * many, f"threads {number}"
    yield Fact(f"memory bandwidth, {where}", READ / read / 1e9, "GB/s", "600 MB read by np.dot")
    share = matrix.nbytes / seconds[1] / (READ / read)
    yield Fact(f"batch 1, share of bandwidth, {where}", 100 * share, "%", "80 % promised")
    yield Fact(f"matrix product, {where}", operations / multiply / 1e9, "GFLOP/s", "OpenBLAS")
    share = multiply / seconds[many]
    yield Fact(f"batch {many:,}, share of it, {where}", 100 * share, "%", "75 % promised")


READ = 600_000_000


def _reading(number: int) -> Callable[[], object]:
    """Reads READ bytes once, by *number* threads."""
    numbers = np.ones(READ // 4, np.float32)
    return lambda: spread(
        lambda start, stop: np.dot(numbers[start:stop], numbers[start:stop]), len(numbers), number
    )


def _fastest(call: Callable[[], object]) -> float:
    return min(by_turns({"": call}, 5)[""])


def _kept(matrix: Floats, queries: Floats) -> tuple[list[Timing], list[Fact]]:
    """float16 and int8 beside float32: speed, bytes, and how many of its ten best they find."""
    stored = {name: make(matrix) for name, make in DTYPES.items()}
    searches = {name: _ours(kept.codes, kept.factors) for name, kept in stored.items()}
    found: list[Timing] = []
    best = searches["float32"](queries, 10)
    for batch in BATCHES:
        calls = {name: partial(search, queries[:batch], 10) for name, search in searches.items()}
        found += timings(f"as kept, batch {batch:,}", by_turns(calls, 5), batch)
    facts = []
    for name, search in searches.items():
        pairs = zip(best, search(queries, 10), strict=True)
        recall = float(np.mean([np.isin(right, docs).mean() for right, docs in pairs]))
        facts.append(Fact(f"{name}: R@10 against float32", recall, ""))
        factors = stored[name].factors
        size = stored[name].codes.nbytes + (0 if factors is None else factors.nbytes)
        facts.append(Fact(f"{name}: bytes a vector", size / len(matrix), "B"))
    return found, facts
