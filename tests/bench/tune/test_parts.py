"""The parts that weights are put on: rankings under any weights are the real retriever's."""

from dataclasses import replace

import numpy as np
import pytest

import retrievers
from bench.config import System
from bench.judge import judge
from bench.metrics import parse_measure
from bench.system import search_suite
from bench.tune import fields
from bench.tune.parts import CELLS, measured, parts_of, repeated
from bench.tune.weights import with_weights
from qrels.data import Corpus, Qrels, Queries, Run
from qrels.errors import UsageError
from qrels.suites import load_suite

FUSED = ["bm25", "lsa", "bm25?k1=2"]
WEIGHTS = np.array(
    [[1, 1, 1], [1 / 3, 1 / 3, 1 / 3], [0.2, 0.3, 0.5], [0, 1, 0], [0.1, 0.7, 0.2], [7, 0, 0.003]]
)


@pytest.fixture(scope="module")
def dev():
    return load_suite("datasets", "dev")


@pytest.fixture(scope="module")
def tied():
    """A suite whose documents are copies of each other, so that scores tie all the time."""
    suite = load_suite("datasets", "dev")
    texts = ["blue cats", "blue dogs", "cats", "dogs and cats", "red dogs", "birds"]
    ids = [f"d{number}" for number in range(40)]
    corpus = Corpus(ids, {"text": [texts[number % 6] for number in range(40)]})
    queries = Queries(["q1", "d3", "q3"], ["blue cats", "dogs", "unheard of"], [{}] * 3)
    qrels = Qrels(np.array([0, 2, 3, 3]), np.array([0, 7, 9], np.int32), np.ones(3, np.int16))
    return replace(suite, corpus=corpus, queries=queries, qrels=qrels, depth=20)


@pytest.mark.parametrize("excluded", [False, True])
@pytest.mark.parametrize("method", ["rrf", "minmax", "zscore"])
@pytest.mark.parametrize("which", ["dev", "tied"])
def test_fusion_is_the_hybrid_bit_for_bit(request, which, method, excluded):
    """Documents and scores are those of `hybrid` with these weights, whatever is tied."""
    suite = request.getfixturevalue(which)
    suite = replace(suite, rules=replace(suite.rules, exclude_self=excluded))
    system = System("h", "hybrid", {"retrievers": FUSED, "method": method})
    parts = parts_of(suite, system)
    found = parts.ranked(WEIGHTS, suite.depth)
    n = len(suite.queries)
    for number, weights in enumerate(WEIGHTS):
        real = search_suite(suite, with_weights(system, parts, weights))
        mine = slice(number * n, (number + 1) * n)
        assert np.array_equal(found.docs[mine], real.docs), weights
        assert np.array_equal(found.scores[mine], real.scores), weights


@pytest.mark.parametrize("normalize", [False, True])
def test_field_scores_are_those_of_fielded(dev, normalize):
    """Scores are `fielded`'s within rounding; the same documents where they are further apart."""
    system = System("f", "fielded", {"encoder": "hashing", "normalize": normalize})
    parts = parts_of(dev, system)
    weights = np.random.default_rng(4).dirichlet(np.ones(len(parts.names)), 3)
    weights[0, 2:] = 0
    found = parts.ranked(weights, dev.depth)
    n = len(dev.queries)
    for number, row in enumerate(weights):
        real = search_suite(dev, with_weights(system, parts, row))
        mine = slice(number * n, (number + 1) * n)
        assert np.abs(found.scores[mine] - real.scores).max() < 1e-6
        apart = np.diff(real.scores, axis=1, prepend=2.0) < -1e-6
        alone = apart & np.pad(apart[:, 1:], ((0, 0), (0, 1)), constant_values=False)
        assert alone.any()
        assert np.array_equal(found.docs[mine][alone], real.docs[alone])


def test_a_field_without_text_gives_a_document_nothing(dev):
    """A document whose weighted fields are empty scores 0, also where length is scaled away."""
    corpus = Corpus(["a", "b"], {"title": ["blue", ""], "text": ["", "cats"]})
    queries = Queries(["q"], ["blue cats"], [{}])
    suite = replace(dev, corpus=corpus, queries=queries)
    for normalize in (False, True):
        system = System("f", "fielded", {"encoder": "hashing", "normalize": normalize})
        found = parts_of(suite, system).ranked(np.array([[1.0, 0.0], [0.5, 0.5]]), 2)
        assert found.docs[0].tolist() == [0, 1]
        assert found.scores[0, 1] == 0
        assert found.scores[1].min() > 0.5  # the one field there is has all the weight


def test_measures_do_not_depend_on_how_many_are_weighed_at_a_time(dev, monkeypatch):
    """One weighting at a time and all at once give the same values."""
    parts = parts_of(dev, System("h", "hybrid", {"retrievers": FUSED}))
    whole = measured(parts, dev, "nDCG@10", WEIGHTS)
    monkeypatch.setattr("bench.tune.parts.CELLS", 1)
    assert np.array_equal(measured(parts, dev, "nDCG@10", WEIGHTS), whole)
    assert whole.shape == (len(WEIGHTS), len(dev.queries))
    assert parts.cells < CELLS


def test_repeated_judgements_judge_each_copy_alike(dev):
    """A run stacked three times over has each query's value three times."""
    run = search_suite(dev, System("b", "bm25"))
    three = Run(np.tile(run.docs, (3, 1)), np.tile(run.scores, (3, 1)))
    measure = parse_measure("nDCG@10")
    once = measure.values(judge(run, dev.qrels))
    assert np.array_equal(measure.values(judge(three, repeated(dev.qrels, 3))), np.tile(once, 3))


def test_more_scores_than_memory_has_are_refused(dev, monkeypatch):
    """One line says how many there would be, before anything is encoded."""
    monkeypatch.setattr(fields, "MOST", 1000)
    with pytest.raises(UsageError, match="scores; at most 1,000"):
        parts_of(dev, System("f", "fielded", {"encoder": "hashing"}))


def test_fused_retrievers_are_closed(tied, monkeypatch):
    """What the fused retrievers hold is let go once their lists are had, also after a failure."""
    closed = []
    kind = type(retrievers.create("hybrid"))
    monkeypatch.setattr(kind, "close", lambda self: closed.append(1))
    parts_of(tied, System("h", "hybrid", {"retrievers": ["bm25"]}))
    assert closed == [1]
    monkeypatch.setattr(kind, "encode", lambda self, queries: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        parts_of(tied, System("h", "hybrid", {"retrievers": ["bm25"]}))
    assert closed == [1, 1]
