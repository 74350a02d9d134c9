"""How cost grows from a thousand documents to a million, and what that says of a hundred million.

Each retriever and size is a process of its own, so that its peak memory is its own.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpus as texts_at_scale
from benchmarks.common import Fact, Plot, Result, Timing

TITLE = "How cost grows"

SYSTEMS: Mapping[str, Mapping[str, Any]] = {  # parameters are each retriever's own
    "bm25": {},
    "lsa": {},
    "precomputed": {"encoder": "hashing?dimension=128", "similarity": "cosine"},
    "faiss HNSW32": {"encoder": "hashing?dimension=128", "factory": "HNSW32"},
}
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
QUICK = (1_000, 3_000, 10_000)
LARGEST = {"faiss HNSW32": 100_000}
"""Where building takes too long beyond; its curve ends there."""

FITTED = 10
"""Exponents are fitted from the largest size over this on, where fixed costs tell least."""

NOTICED = 10**6
"""Bytes of memory beyond the corpus from which on anything is said of it."""

QUERIES, DEPTH = 200, 10
BEYOND = 100_000_000


def run(quick: bool) -> Result:
    sizes = QUICK if quick else SIZES
    found = {
        name: {size: _apart(name, size) for size in sizes if size <= LARGEST.get(name, size)}
        for name in SYSTEMS
    }
    return Result(
        timings=tuple(_timings(found)),
        facts=tuple(fact for name, by_size in found.items() for fact in _facts(name, by_size)),
        notes=(
            "Exponents are least-squares slopes on log-log axes over the last factor of "
            f"{FITTED} of sizes: 1 doubles with the corpus. Fixed costs pull them down, so what "
            "they say of a hundred million comes with what growth in proportion would give. Both "
            "assume one machine and the same text; nobody has run that here.",
            "Vectors are those of the hashing encoder, made by a script from the same text; "
            "synthetic vectors say little of how well HNSW finds.",
        ),
        plot=Plot("documents", "seconds to build", "seconds", ("build",)),
    )


def _apart(name: str, size: int) -> dict[str, float]:
    """Build and search in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.growth", name, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"growth: {name} at {size:,} documents failed: {done.stderr[-500:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _timings(found: Mapping[str, Mapping[int, Mapping[str, float]]]) -> Iterator[Timing]:
    for name, by_size in found.items():
        for size, cost in by_size.items():
            yield Timing("build", name, (cost["build"],), units=size, x=size)
            yield Timing(f"search {size:,}", name, (cost["search"],), units=QUERIES, x=size)


def _facts(name: str, by_size: Mapping[int, Mapping[str, float]]) -> Iterator[Fact]:
    largest = max(by_size)
    kept = sorted(size for size in by_size if size * FITTED >= largest)
    for cost, (unit, factor) in UNITS.items():
        at = by_size[largest][cost]
        if cost == "memory" and at < NOTICED:
            continue
        slope = fitted(kept, [by_size[size][cost] for size in kept])
        times = BEYOND / largest
        likely, linear = (f"{at * factor * times**power:,.3g} {unit}" for power in (slope, 1.0))
        yield Fact(
            f"{name}: {cost} at {largest:,}", at * factor, unit,
            f"grows as n^{slope:.2f}; at {BEYOND:,} that is {likely}, in proportion {linear}"
            if len(kept) > 1 else "",
        )  # fmt: skip


UNITS = {"build": ("s", 1.0), "search": ("ms a query", 1e3 / QUERIES), "memory": ("GB", 1e-9)}
"""By cost its unit, and what a measured value is multiplied by."""


def fitted(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The exponent e of value ~ size^e; 0 with fewer than two sizes."""
    if len(sizes) < 2:
        return 0.0
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-9)), 1)[0])


def measure(name: str, size: int) -> dict[str, float]:
    """Seconds of building and of searching, bytes of memory beyond the corpus, in this process."""
    import retrievers
    from encoders.cache import cache_policy
    from qrels.data import Corpus

    plan = texts_at_scale.plan(size, QUERIES)
    corpus = Corpus([f"d{i}" for i in range(size)], {"text": list(texts_at_scale.texts(plan))})
    asked = texts_at_scale.queries(plan)
    with tempfile.TemporaryDirectory() as scratch, cache_policy(enabled=False):
        parameters = dict(SYSTEMS[name])
        if name == "precomputed":
            parameters["path"] = str(Path(scratch) / "vectors.npy")
            np.save(parameters["path"], texts_at_scale.vectors(plan))
        retriever: Any = retrievers.create(name.split()[0], parameters)
        corpus.tie_order  # noqa: B018 - the corpus's own, computed once
        before = _peak()
        start = time.perf_counter()
        if name.startswith("faiss"):
            retriever._keep(
                retriever._built(retriever._scaled(texts_at_scale.vectors(plan))), corpus
            )
        else:
            retriever.index(corpus)
        built = time.perf_counter()
        retriever.search(asked[:2], DEPTH)
        ready = time.perf_counter()
        retriever.search(asked, DEPTH)
        done = time.perf_counter()
    return {"build": built - start, "search": done - ready, "memory": max(_peak() - before, 1)}


def _peak() -> int:
    """Bytes, the most this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
