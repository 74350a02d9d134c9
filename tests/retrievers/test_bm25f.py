"""BM25 over weighted fields."""

import math

import numpy as np
import pytest

from qrels.data import Corpus
from qrels.errors import UsageError
from retrievers.bm25 import BM25
from retrievers.bm25f import BM25F


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(3)
    words = [f"word{number}" for number in range(30)]
    fields = {
        name: [" ".join(rng.choice(words, rng.integers(0, most))) for _ in range(80)]
        for name, most in (("title", 5), ("text", 30))
    }
    return Corpus([f"d{number}" for number in range(80)], fields, weights={"title": 2.0})


def search(retriever, corpus, queries=("word1 word2 word2", "word7", "word20 word21 word0")):
    retriever.index(corpus)
    return retriever.search(queries, len(corpus))


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75), (0.9, 1.0)])
def test_one_field_of_weight_one_is_bm25(corpus, k1, b):
    """With a single field both rankings and scores are those of method lucene."""
    ours = search(BM25F({"text": 1.0}, k1, b), corpus)
    bm25 = search(BM25("lucene", k1, b, fields=["text"]), corpus)
    assert np.array_equal(ours.docs, bm25.docs)
    np.testing.assert_allclose(ours.scores, bm25.scores, rtol=1e-6)


def test_fields_are_combined_before_the_saturation():
    """One saturation over the weighted frequencies, worked by hand."""
    corpus = Corpus(["a", "b"], {"title": ["cat", "dog fox"], "text": ["cat cat ant", "ant"]})
    run = search(
        BM25F({"title": 3.0, "text": 1.0}, 0.9, {"title": 0.5, "text": 0.4}), corpus, ["cat"]
    )
    title = 3.0 * 1 / (0.5 + 0.5 * 1 / 1.5)
    text = 1.0 * 2 / (0.6 + 0.4 * 3 / 2)
    expected = math.log(1 + 1.5 / 1.5) * (title + text) / (0.9 + title + text)
    assert run.docs.tolist() == [[0, -1]]
    assert run.scores[0, 0] == pytest.approx(expected, rel=1e-6)


SAME = {
    "corpus-weights": (BM25F(), BM25F({"title": 2.0, "text": 1.0})),
    "weight-zero": (BM25F({"title": 0, "text": 1}), BM25F({"text": 1})),
    "one-b": (BM25F(b=0.3), BM25F(b={"title": 0.3, "text": 0.3})),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_two_ways_to_say_the_same(corpus, one, other):
    """Defaults come from the corpus, a weight of 0 leaves a field out, one b serves all fields."""
    assert all(map(np.array_equal, search(one, corpus), search(other, corpus)))


def test_a_weight_changes_the_order(corpus):
    """A heavier title lifts documents that have the word there."""
    light, heavy = (
        search(BM25F({"title": w, "text": 1.0}), corpus, ["word3"]) for w in (0.01, 9.0)
    )
    in_title = np.array(["word3" in text.split() for text in corpus.fields["title"]])
    assert in_title[heavy.docs[0, : in_title.sum()]].all()
    assert not in_title[light.docs[0, : in_title.sum()]].all()


WRONG = {
    "field": ({"weights": {"tilte": 1.0}}, "unknown field 'tilte'; did you mean 'title'"),
    "negative": ({"weights": {"title": -1.0}}, "weight of field 'title' is -1.0; allowed"),
    "all-zero": ({"weights": {"title": 0.0}}, "no field has a weight above 0"),
    "b": ({"b": 2}, "b is 2; allowed: a number from 0 to 1"),
    "b-of-field": ({"b": {"title": 2, "text": 1}}, "the b of 'title' is 2"),
    "b-missing": ({"b": {"title": 0.5}}, "b names no value for the field 'text'"),
    "k1": ({"k1": -0.5}, "k1 is -0.5"),
}


@pytest.mark.parametrize(("params", "message"), WRONG.values(), ids=WRONG)
def test_wrong_parameters_are_refused(corpus, params, message):
    """A wrong field, weight, b or k1 is a UsageError that names it."""
    with pytest.raises(UsageError, match=message):
        BM25F(**params).index(corpus)
