"""A system at work: what comes back is checked, and a reranker keeps to its depth."""

import numpy as np
import pytest

from bench import system as at
from bench.config import System, parse_system
from qrels.data import ABSENT, Filter, Run
from qrels.errors import BenchError, PluginError

INF = np.inf


def run_of(docs, scores):
    return Run(np.array(docs, np.int32), np.array(scores, np.float32))


def built(suite, retriever, reranker=None, depth=2):
    return at.Built(System("x", "r", {}, "k" if reranker else None, {}, depth), suite.corpus,
                    retriever, reranker)  # fmt: skip


class Fixed:
    """Returns the first documents in corpus order, scored downwards; cannot filter."""

    def __init__(self, shift=0):
        self.shift = shift

    def index(self, corpus):
        self.size = len(corpus)

    def search(self, queries, k):
        docs = np.full((len(queries), k), ABSENT)
        scores = np.full((len(queries), k), -INF)
        n = min(k, self.size)
        docs[:, :n] = np.arange(n)
        scores[:, :n] = 10.0 - np.arange(n)
        return docs + self.shift * (docs >= 0), scores


class Backwards:
    """Reverses what it is given."""

    def rerank(self, queries, run, corpus, k):
        head = run.docs[:, :k][:, ::-1]
        order = np.argsort(head == ABSENT, axis=1, kind="stable")
        docs = np.take_along_axis(head, order, axis=1)
        scores = np.where(docs == ABSENT, -INF, -np.arange(k) - 0.5)
        return Run(docs, scores.astype(np.float32))


class Replaces(Backwards):
    """Returns documents that it was not given."""

    def rerank(self, queries, run, corpus, k):
        return Run((run.docs[:, :k] + 1) % len(corpus), run.scores[:, :k])


def test_a_reranker_reorders_its_depth_and_leaves_the_rest(toy_suite):
    """Beneath rerank_depth the first stage's order stands, with scores that keep it."""
    here = built(toy_suite, Fixed(), Backwards(), depth=3)
    at.index(here)
    run = at.rerank(here, ["a"], at.retrieve(here, ["a"], 6))
    assert run.docs.tolist() == [[2, 1, 0, 3, 4, 5]]
    assert (np.diff(run.scores) < 0).all()


def test_rerank_keeps_padding(toy_suite):
    """A ranking shorter than its depth stays as short."""
    here = built(toy_suite, Fixed(), Backwards(), depth=50)
    at.index(here)
    run = at.rerank(here, ["a"], at.retrieve(here, ["a"], 8))
    assert run.docs.tolist() == [[5, 4, 3, 2, 1, 0, ABSENT, ABSENT]]
    assert run.scores[0, 6:].tolist() == [-INF, -INF]


@pytest.mark.parametrize("low", [-3e8, -1.0, 0.25, 7e7])
def test_the_rest_scores_lower_whatever_the_scale(low):
    """Float32 steps beneath a large score still keep the order."""
    head, tail = run_of([[0, 1]], [[low + 1, low]]), run_of([[2, 3, 4]], [[3, 2, 1]])
    joined = at.beneath(head, tail)
    assert joined.docs.tolist() == [[0, 1, 2, 3, 4]]
    assert (np.diff(joined.scores[:, 1:]) < 0).all()


def test_a_reranker_that_swaps_documents_is_refused(toy_suite):
    """A reranker may only reorder."""
    here = built(toy_suite, Fixed(), Replaces())
    at.index(here)
    with pytest.raises(PluginError, match="other documents"):
        at.rerank(here, ["a"], at.retrieve(here, ["a"], 6))


def test_a_retriever_out_of_range_is_refused(toy_suite):
    """What a plug-in returns passes through the one gate."""
    here = built(toy_suite, Fixed(shift=100))
    at.index(here)
    with pytest.raises(PluginError, match="position"):
        at.retrieve(here, ["a"], 6)


def test_a_filter_is_exact_for_a_retriever_that_cannot(toy_suite):
    """The harness asks for the whole corpus and filters it."""
    here = built(toy_suite, Fixed())
    at.index(here)
    where = [Filter("task", "=", "space")]
    assert at.retrieve(here, ["a"], 3, where).docs.tolist() == [[2, 3, ABSENT]]


def test_a_query_never_finds_its_own_document(toy_suite):
    """The rule of ArguAna and Quora: one more is fetched, and the own document dropped."""
    here = built(toy_suite, Fixed())
    at.index(here)
    run = at.retrieve(here, ["a", "b"], 3, exclude=np.array([1, -1], np.int32))
    assert run.docs.tolist() == [[0, 2, 3], [0, 1, 2]]


def test_a_filter_and_the_own_document_rule_hold_together(toy_suite):
    """Both are exact before the cut at k."""
    here = built(toy_suite, Fixed())
    at.index(here)
    run = at.retrieve(here, ["a"], 2, [Filter("task", "=", "space")], np.array([2], np.int32))
    assert run.docs.tolist() == [[3, ABSENT]]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("bm52", "did you mean 'bm25'"),
        ("bm25?kl=1", "'kl'; (did you mean|allowed: ).*k1"),
        ("bm25+mrm", "did you mean 'mmr'"),
        ("precomputed", "needs the parameter 'path'"),
        ("no.such.module:Thing", "not installed"),
        ("qrels.data:Nothing", "no 'Nothing'"),
    ],
)
def test_a_mistyped_part_names_the_close_match(toy_suite, spec, message):
    """Every wrong name is one line that tells what to write."""
    with pytest.raises(BenchError, match=message):
        at.make(parse_system(spec), toy_suite.corpus)
