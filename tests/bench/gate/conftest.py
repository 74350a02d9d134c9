"""Results on disk, as `bench run` leaves them, of whatever values a test wants."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from reports import record as r

QUERIES = 40
MEASURES = ("nDCG@10", "RR(rel=2)@10", "Judged@10")


@pytest.fixture
def make_result(tmp_path):
    """make_result(name, values, rankings, **changes) writes a result folder and returns it.

    values: by system what every measure is per query, None for a system that failed. rankings: by
    system the documents of every query, best first. suite, params, environment: what differs.
    """

    def make(name, values, rankings=None, suite=None, params=None, environment=None, **changes):
        folder = tmp_path / name
        info = replace(suite_info(), **(suite or {}))
        cells = [
            cell(folder, info, system, found, (rankings or {}).get(system, ["a", "b", "c"]))
            for system, found in values.items()
        ]
        made = r.Record(
            status="complete", name=name, created="2026-01-02T03:04:05+00:00", command="",
            seed=13, environment={"python": "3.11.2", "cores": 2, "packages": {"numpy": "2.4.0"},
                                  **(environment or {})},
            suites=(info,),
            systems=tuple(system_info(system, **(params or {})) for system in values),
            cells=tuple(cells), comparisons=(), examples=(),
        )  # fmt: skip
        r.save(replace(made, **changes), folder)
        return folder

    return make


def suite_info():
    ids = tuple(f"q{i}" for i in range(QUERIES))
    return r.SuiteInfo(
        name="toy", version="1", split="test", digest="ab" * 32, description="", documents=3,
        queries=QUERIES, judgements=80, without_relevant=0, judged_absent=0,
        unanswerable_skipped=0, exclude_self=False, relevance_level=2, depth=100,
        measures=MEASURES, query_ids=ids, kinds=("",) * QUERIES,
        texts=tuple(f"what is {query}?" for query in ids),
    )  # fmt: skip


def system_info(name, **params):
    return r.SystemInfo(
        name=name, retriever="bm25", params={"k1": 0.9, **params}, reranker=None,
        reranker_params={}, rerank_depth=None, encoders={},
    )  # fmt: skip


def cell(folder, suite, system, values, ranking):
    if values is None:
        return r.Cell(
            suite=suite.name, split=suite.split, system=system, status="failed",
            error="OSError: no model", values={}, means={}, missing=0, run_file=None,
            run_digest=None, cost=None,
        )  # fmt: skip
    found = tuple(np.asarray(values, float).tolist())
    mean = float(np.mean(found))
    path = folder / "runs" / f"{system}.trec"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(
        f"{query} Q0 {doc} {rank} {-rank} t\n"
        for query in suite.query_ids for rank, doc in enumerate(ranking, 1)
    ))  # fmt: skip
    return r.Cell(
        suite=suite.name, split=suite.split, system=system, status="ok", error=None,
        values=dict.fromkeys(suite.measures, found),
        means={name: {"mean": mean, "low": mean, "high": mean} for name in suite.measures},
        missing=0, run_file=f"runs/{system}.trec",
        run_digest=hashlib.sha256(path.read_bytes()).hexdigest(), cost=None,
    )  # fmt: skip


@pytest.fixture
def accepted():
    """Values that a baseline may have, float64 (QUERIES,), from .3 to .7."""
    return np.linspace(0.3, 0.7, QUERIES)
