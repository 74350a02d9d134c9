"""How long judging and measuring take on 300 rankings of 100; `pytest tests/benchmarks`."""

import numpy as np
import pytest

from bench.judge import judge
from bench.metrics import parse_measure
from qrels.data import Qrels, Run

N_QUERIES, DEPTH, N_DOCS = 300, 100, 5000
MEASURES = ["nDCG@10", "RR@10", "AP", "R@100"]


@pytest.fixture(scope="module")
def inputs() -> tuple[Run, Qrels]:
    """A random run, and about 25 judgements a query, half of them of retrieved documents."""
    rng = np.random.default_rng(11)
    docs = rng.permuted(np.tile(np.arange(N_DOCS), (N_QUERIES, 1)), axis=1)[:, :DEPTH]
    table = rng.random((N_QUERIES, N_DOCS)) < 12 / N_DOCS
    np.put_along_axis(table, docs[:, ::8], np.True_, axis=1)
    queries, judged = np.nonzero(table)
    indptr = np.searchsorted(queries, np.arange(N_QUERIES + 1)).astype(np.int64)
    grades = rng.integers(0, 4, len(queries)).astype(np.int16)
    scores = np.tile(-np.arange(DEPTH, dtype=np.float32), (N_QUERIES, 1))
    return Run(docs.astype(np.int32), scores), Qrels(indptr, judged.astype(np.int32), grades)


def test_judge(benchmark, inputs):
    """Joining gives every query its ranking."""
    assert len(benchmark(judge, *inputs)) == N_QUERIES


@pytest.mark.parametrize("name", MEASURES)
def test_measure(benchmark, inputs, name):
    """A measure of a joined run has a value a query."""
    judged, measure = judge(*inputs), parse_measure(name)
    assert benchmark(measure.values, judged).shape == (N_QUERIES,)


def test_judge_and_measure(benchmark, inputs):
    """From arrays to four measures: what one system of a run costs."""
    measures = [parse_measure(name) for name in MEASURES]

    def evaluate():
        judged = judge(*inputs)
        return [measure.values(judged) for measure in measures]

    assert len(benchmark(evaluate)) == len(MEASURES)
