"""Cost is measured in a process of its own; what it counts is checked, never how fast it was."""

import sys
from types import SimpleNamespace

import pytest

from bench import latency
from bench.config import System, parse_system
from bench.latency import Protocol, measure_cost, sample_queries
from qrels.errors import PluginError

SHORT = Protocol(queries=2, rounds=2, warmup=1, threads=1)


@pytest.fixture(scope="module")
def costs(toy_suite):
    spec = "dense+mmr?encoder=hashing&reranker.encoder=hashing"
    return {
        "bm25": measure_cost(toy_suite, System("bm25", "bm25"), SHORT),
        "staged": measure_cost(toy_suite, parse_system(spec), SHORT),
    }


def test_raw_samples_are_kept_by_stage(costs):
    """A row a round, a column a query; the stages add up to the total."""
    found = costs["staged"].latency_ns
    assert set(found) == {"encode", "search", "rerank", "total"}
    for stage in found:
        assert [len(samples) for samples in found[stage]] == [2, 2]
    for round_number in range(2):
        for query in range(2):
            parts = [found[s][round_number][query] for s in ("encode", "search", "rerank")]
            assert sum(parts) == found["total"][round_number][query]
            assert min(parts) > 0


def test_a_system_without_stages_has_only_search(toy_suite):
    """No stage is invented, and no size of an index that cannot be saved."""
    cost = measure_cost(toy_suite, System("x", "tests_latency_plugins:Plain"), SHORT)
    assert set(cost.latency_ns) == {"search", "total"}
    assert cost.index_bytes is None


def test_memory_and_size_are_those_of_the_cell(costs):
    """The peak is above what the imports took; the saved index has bytes."""
    for cost in costs.values():
        assert cost.peak_rss_bytes > cost.import_rss_bytes > 0
        assert cost.index_bytes > 0
        assert cost.threads == 1


def test_the_child_passes_on_its_error(toy_suite):
    """A failure in the measuring process is one line here."""
    with pytest.raises(PluginError, match="did you mean"):
        measure_cost(toy_suite, System("x", "bm52"), SHORT)


def test_a_child_that_dies_is_named(toy_suite):
    """A process that is killed (out of memory, say) is a failed system, not a hang."""
    with pytest.raises(PluginError, match="died with exit code 9"):
        measure_cost(toy_suite, System("x", "tests_latency_plugins:Dies"), SHORT)


@pytest.fixture(autouse=True)
def plugins(tmp_path, monkeypatch):
    """Two classes that the measuring process can import."""
    (tmp_path / "tests_latency_plugins.py").write_text(
        "import os\n"
        "import numpy as np\n"
        "class Dies:\n"
        "    def index(self, corpus): os._exit(9)\n"
        "    def search(self, queries, k): ...\n"
        "class Plain:\n"
        "    def index(self, corpus): ...\n"
        "    def search(self, queries, k):\n"
        "        shape = (len(queries), k)\n"
        "        return np.full(shape, -1), np.full(shape, -np.inf)\n"
        "class Counts(Plain):\n"
        "    def search(self, queries, k):\n"
        "        with open(os.environ['COUNTS'], 'a') as file:\n"
        "            print(f\"{len(queries)}:{os.environ['OMP_NUM_THREADS']}\", file=file)\n"
        "        return super().search(queries, k)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [(3, 50, ["0", "1", "2"]), (5, 3, ["0", "2", "4"]), (0, 3, []), (1, 1, ["0"])],
)
def test_queries_are_sampled_evenly(count, size, expected):
    """The same queries every time, spread over the whole set."""
    assert sample_queries([str(i) for i in range(count)], size) == expected


def test_the_query_cache_is_never_touched_while_timing(costs, tmp_path, monkeypatch, toy_suite):
    """A measuring process leaves no query vectors behind: none were read or written."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("BENCH_CACHE", str(cache))
    measure_cost(toy_suite, parse_system("dense?encoder=hashing"), SHORT)
    stored = [str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()]
    assert any("passage" in name for name in stored)
    assert not any("query" in name for name in stored)


def test_calls_follow_the_protocol(tmp_path, monkeypatch, toy_suite):
    """Warm-up, every query in every round, one batch; the threads asked for are set."""
    monkeypatch.setenv("COUNTS", str(tmp_path / "counts"))
    cost = measure_cost(toy_suite, System("x", "tests_latency_plugins:Counts"), SHORT)
    calls = (tmp_path / "counts").read_text().split()
    assert calls == ["1:1"] + ["1:1"] * 4 + ["2:1"]  # queries:threads
    assert (cost.warmup, cost.rounds, cost.batch_queries) == (1, 2, 2)
    assert cost.batch_ns > 0


def test_cuda_is_synchronised_before_the_clock_is_read(monkeypatch):
    """A device at work is waited for at each mark; without one nothing is."""
    waited = []
    cuda = SimpleNamespace(is_initialized=lambda: True, synchronize=lambda: waited.append(1))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    clock = latency._clock()
    assert clock() <= clock()
    assert len(waited) == 2
    cuda.is_initialized = lambda: False
    latency._clock()()
    assert len(waited) == 2
