"""The ability `Pointwise`: the ranking at any depth follows from the scores of one deeper pass."""

import numpy as np
import pytest

from bench.tune.depth import cut
from qrels.data import ABSENT, Qrels, Queries, Run, Suite
from qrels.ranking import order_ties
from rerankers import BUILTINS, RERANKERS, create
from rerankers.base import Pointwise

TEMPLATE = "{query} : {document} ?"
POINTWISE = {  # of each, parameters that work offline
    "cross-encoder": lambda model: {"model": str(model("bert"))},
    "late-interaction": lambda model: {"encoder": "hashing"},
    "llm-yes-no": lambda model: {"model": str(model("gpt2")), "template": TEMPLATE},
}
NOT = {"metadata-prior": {"relevance": 1.0}, "mmr": {"encoder": "hashing"}}
DEPTHS = (1, 2, 5, 9, 12)
QUERIES = ["w1 w2", "w7", "", "w3 w4 w5 w6 w3", "unheard of", "w1 w2 w9 w10"]
ROUNDING = 1e-5
"""Models batch other pairs together at another depth, and round in another order."""


@pytest.fixture(scope="module")
def suite(corpus_of):
    """Documents of which every fifth is a copy, so that scores tie."""
    queries = Queries([f"q{number}" for number in range(6)], QUERIES, [{}] * 6)
    qrels = Qrels(np.zeros(7, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int16))
    return Suite("x", "1", "test", corpus_of(), queries, qrels, "digest", depth=12)


@pytest.fixture
def first(suite):
    """Twelve candidates a query; a list of five, and an empty one."""
    rng = np.random.default_rng(3)
    docs = np.stack([rng.permutation(len(suite.corpus))[:12] for _ in QUERIES]).astype(np.int32)
    scores = np.sort(rng.normal(size=docs.shape).astype(np.float32))[:, ::-1].copy()
    docs[1, 5:], scores[1, 5:] = ABSENT, -np.inf
    docs[4], scores[4] = ABSENT, -np.inf
    return order_ties(Run(docs, scores), suite.corpus.tie_order)


def passes(name, params, suite, first):
    """The head of the ranking at each depth, from a pass of its own and from the deepest one."""
    reranker = create(name, params)
    whole = reranker.rerank(QUERIES, first, suite.corpus, 12)
    for depth in DEPTHS:
        found = cut(first, whole, depth, 12, suite)
        yield depth, found, reranker.rerank(QUERIES, first, suite.corpus, depth)


def test_every_built_in_says_whether_it_is_pointwise():
    """Those whose scores depend on the other candidates do not say so."""
    said = {name for name in BUILTINS if isinstance(RERANKERS.load(name), Pointwise)}
    assert said == set(POINTWISE)
    assert set(BUILTINS) - said == set(NOT)


@pytest.mark.parametrize("name", POINTWISE)
def test_one_pass_gives_what_each_depth_gives(name, suite, first, tiny_model):
    """The same documents in the same order, with the same scores within rounding."""
    for depth, found, alone in passes(name, POINTWISE[name](tiny_model), suite, first):
        assert np.array_equal(found.docs[:, :depth], alone.docs), depth
        assert np.array_equal(found.docs[:, depth:], first.docs[:, depth:]), depth
        np.testing.assert_allclose(found.scores[:, :depth], alone.scores, ROUNDING, ROUNDING)


@pytest.mark.parametrize("name", NOT)
def test_one_pass_is_not_enough_for_the_others(name, suite, first):
    """For those that are not pointwise some depth is another ranking: they may not say they are."""
    same = [
        np.array_equal(found.docs[:, :depth], alone.docs)
        for depth, found, alone in passes(name, NOT[name], suite, first)
    ]
    assert not all(same)
