"""An approximate retriever is measured against exact search of the same vectors."""

import pytest

from bench.config import parse_system
from bench.latency import Protocol, measure_cost

SHORT = Protocol(queries=2, rounds=2, warmup=1, threads=1)


@pytest.fixture(scope="module")
def cost(toy_suite):
    spec = "faiss?encoder=hashing&factory=IVF2,Flat&recall=1.0"
    return measure_cost(toy_suite, parse_system(spec), SHORT)


def test_recall_is_measured_on_the_suite(cost, toy_suite):
    """A share a query, at ten and at the depth; all lists searched find everything."""
    depth = toy_suite.depth
    assert set(cost.exact.recall) == {str(min(10, depth)), str(depth)}
    for shares in cost.exact.recall.values():
        assert shares == (1.0,) * len(toy_suite.queries)


def test_settings_and_times_are_kept(cost):
    """What was set, and exact search's own samples, shaped like the system's."""
    assert cost.exact.about["factory"] == "IVF2,Flat"
    assert cost.exact.about["nprobe"] == 2
    assert [len(samples) for samples in cost.exact.search_ns] == [2, 2]
    assert min(map(min, cost.exact.search_ns)) > 0


def test_an_exact_system_has_none(toy_suite):
    """Dense search is not compared with itself."""
    assert measure_cost(toy_suite, parse_system("dense?encoder=hashing"), SHORT).exact is None
