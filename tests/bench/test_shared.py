"""The stages that systems of a suite share: nothing is kept that no later system needs."""

from dataclasses import replace

import numpy as np
import pytest

from bench.config import System, parse_system
from bench.runner import Options, run_experiment
from bench.shared import Shared
from bench.system import search_suite
from qrels.data import Run
from qrels.suites import load_suite


@pytest.fixture(scope="module")
def dev():
    return load_suite("datasets", "dev")


class Reading:
    """A retriever that ranks in file order, and notes in *log* what is read and closed."""

    log: list[str]

    def __init__(self, a=1, b=1):
        self.a, self.b = a, b

    def index(self, corpus):
        self.index_read(self.read(corpus), corpus)

    def search(self, queries, k):
        docs = np.tile(np.arange(k, dtype=np.int32), (len(queries), 1))
        return Run(docs, -docs.astype(np.float32))

    def reading(self):
        if self.a == "broken":
            raise RuntimeError("no name for it")
        return str(self.a)

    def read(self, corpus):
        type(self).log.append(f"read {self.a}")
        return corpus

    def index_read(self, read, corpus):
        assert read is corpus

    def close(self):
        type(self).log.append(f"close {self.a}{self.b}")


class Elsewhere(Reading):
    """One that may read otherwise under the same name."""


class Preparing:
    """A reranker that keeps the order; what cannot be prepared is closed all the same."""

    log: list[str]

    def __init__(self, fails=False):
        self.fails = fails

    def prepare(self, corpus):
        type(self).log.append("prepare")
        if self.fails:
            raise RuntimeError("cannot")

    def rerank(self, queries, run, corpus, k):
        return Run(run.docs[:, :k], run.scores[:, :k])

    def close(self):
        type(self).log.append("close reranker")


@pytest.fixture(autouse=True)
def log(monkeypatch):
    found = []
    for kind in (Reading, Preparing):
        monkeypatch.setattr(kind, "log", found, raising=False)
    return found


def system(name, kind="Reading", reranker=None, depth=5, fails=False, **params):
    """A system of the classes above."""
    return System(
        name, f"{__name__}:{kind}", params,
        reranker and f"{__name__}:Preparing", {"fails": fails} if reranker else {}, depth,
    )  # fmt: skip


def test_what_was_read_is_let_go_after_the_last_that_needs_it(dev, log):
    """One reading each, gone once no later system wants it, though others are still to run."""
    systems = [system("1", a=1, b=1), system("2", a=2), system("3", a=1, b=2), system("4", a=3)]
    shared = Shared(dev, systems)
    kept = []
    for one in systems:
        shared.stages(one)
        kept.append(sum(key.startswith("read") for key in shared._kept))
    assert [line for line in log if line.startswith("read")] == ["read 1", "read 2", "read 3"]
    assert kept == [1, 1, 0, 0]
    assert shared._kept == {}


def test_retrievers_are_closed_once_each(dev, log):
    """A first stage that two systems share is closed once, before the second needs it."""
    systems = [system("1", reranker=True, depth=5), system("2", reranker=True, depth=9)]
    shared = Shared(dev, systems)
    shared.stages(systems[0])
    assert log == ["read 1", "close 11", "prepare"]
    shared.stages(systems[1])
    assert log == ["read 1", "close 11", "prepare", "close reranker"]


def test_a_subclass_reads_for_itself(dev, log):
    """Another class shares nothing, although its reading has the same name."""
    systems = [system("1"), system("2", kind="Elsewhere")]
    shared = Shared(dev, systems)
    for one in systems:
        shared.stages(one)
    assert log.count("read 1") == 2


def test_a_reranker_that_cannot_be_prepared_is_closed(dev, log):
    """It is let go, and the next system tries for itself."""
    systems = [system("1", reranker=True, fails=True), system("2", reranker=True, fails=True)]
    shared = Shared(dev, systems)
    for one in systems:
        with pytest.raises(RuntimeError, match="cannot"):
            shared.stages(one)
    assert log.count("prepare") == log.count("close reranker") == 2
    assert shared._kept == {}


def test_a_reading_without_a_name_is_not_shared(dev, log):
    """A plug-in that fails to name its reading is indexed by itself; the others run."""
    systems = [system("1", a="broken"), system("2")]
    shared = Shared(dev, systems)
    for one in systems:
        assert shared.stages(one)[1].docs.shape == (len(dev.queries), dev.depth)
    assert log.count("read broken") == 1


def test_a_first_stage_that_failed_is_tried_again(dev, monkeypatch, log):
    """A failure is not remembered, and what was read is read again if it was let go."""
    systems = [system("1", reranker=True, depth=5), system("2", reranker=True, depth=9)]
    shared = Shared(dev, systems)
    with monkeypatch.context() as once:
        once.setattr(Reading, "search", lambda self, queries, k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            shared.stages(systems[0])
    assert shared.stages(systems[1])[1].docs.shape[1] == dev.depth
    assert log.count("read 1") == 2


@pytest.mark.parametrize("order", [1, -1])
def test_a_run_with_shared_stages_is_that_of_each_system_alone(dev, order):
    """Whatever the order of the systems, each cell's values are those of running it alone."""
    specs = ["bm25?k1=0.5", "bm25f?k1=0.5", "bm25?b=0.9", "bm25f?k1=2", "lsa", "bm25+mmr",
             "bm25+mmr?rerank_depth=7", "lsa+mmr?rerank_depth=7"]  # fmt: skip
    systems = [parse_system(spec) for spec in specs][::order]
    small = replace(dev, depth=20)
    shared = Shared(small, systems)
    for one in systems:
        found, alone = shared.stages(one)[1], search_suite(small, one)
        assert np.array_equal(found.docs, alone.docs), one.name
        assert np.array_equal(found.scores, alone.scores), one.name


def test_a_failed_system_leaves_the_shared_stages_to_the_others(dev):
    """In a run the failure is one cell; those that share its reading finish."""
    from bench.config import Experiment

    systems = [parse_system(s) for s in ("bm25?k1=-1", "bm25?k1=1", "bm25?k1=2")]
    record = run_experiment(Experiment([dev], systems), None, Options(protocol=None))
    assert [cell.status for cell in record.cells] == ["failed", "ok", "ok"]
