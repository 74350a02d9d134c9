"""Weighted-field dense retrieval, worked by hand on a small corpus."""

import numpy as np
import pytest

import encoders
from encoders.cache import CachedEncoder
from encoders.hashing import Hashing
from qrels.data import Corpus
from qrels.errors import UsageError
from retrievers.fielded import Fielded

SPEC = "hashing?dimension=512"
FIELDS = {
    "title": ["cat", "cat", "", "", "dog"],
    "text": ["cat", "dog", "dog", "", "cat"],
    "tags": ["", "", "", "", "bird"],
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def corpus():
    return Corpus(list("abcde"), FIELDS, weights={"title": 3.0, "text": 1.0, "tags": 1.0})


def scores(corpus, query, **params):
    """The score of each document, in the corpus's order."""
    retriever = Fielded(SPEC, **params)
    retriever.index(corpus)
    run = retriever.search([query], len(corpus))
    return dict(zip(run.docs[0].tolist(), run.scores[0].tolist(), strict=True))


def vector(*words):
    return Hashing(512).encode(words, "query").astype(np.float64)


CAT, DOG, BIRD = vector("cat", "dog", "bird")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            {"weights": {"title": 3, "text": 1}},
            [CAT, (3 * CAT + DOG) / 4, DOG, 0 * CAT, (3 * DOG + CAT) / 4],
        ),
        (
            {},  # the corpus's own weights
            [CAT, (3 * CAT + DOG) / 4, DOG, 0 * CAT, (3 * DOG + CAT + BIRD) / 5],
        ),
        ({"weights": {"tags": 2.0}}, [0 * CAT, 0 * CAT, 0 * CAT, 0 * CAT, BIRD]),
        ({"fields": ["text"]}, [CAT, DOG, DOG, 0 * CAT, CAT]),
        (
            {"weights": {"title": 1, "text": 1}, "normalize": True},
            [CAT, (CAT + DOG) / np.linalg.norm(CAT + DOG), DOG, 0 * CAT,
             (CAT + DOG) / np.linalg.norm(CAT + DOG)],
        ),
        (
            {"mode": "joined", "weights": {"title": 1, "text": 1}},
            vector("cat cat", "cat dog", "dog", "", "dog cat"),
        ),
        ({"mode": "joined", "fields": ["title", "tags"]}, vector("cat", "cat", "", "", "dog bird")),
    ],
    ids=["two", "corpus", "one", "fields", "normalize", "joined", "joined-fields"],
)  # fmt: skip
def test_scores_by_hand(corpus, params, expected):
    """The dot product of the unit query with the mean over non-empty fields, weights renewed."""
    query = vector("cat bird")[0]
    found = scores(corpus, "cat bird", **params)
    assert [found[doc] for doc in range(5)] == pytest.approx(
        [float(query @ mean) for mean in expected], abs=1e-6
    )


def test_without_weights_fields_count_alike(corpus):
    """A corpus that names no weights has 1 for each."""
    plain = Corpus(corpus.doc_ids, corpus.fields)
    uniform = scores(plain, "cat", weights={"title": 1, "text": 1, "tags": 1})
    assert scores(plain, "cat") == uniform != scores(corpus, "cat")


def test_other_weights_cost_no_encoding(corpus, monkeypatch):
    """Each distinct field text is encoded once, whatever weights come after."""

    class Counting(Hashing):
        encoded = ()

        def encode(self, texts, side):
            self.encoded += tuple(texts)
            return super().encode(texts, side)

    encoder = CachedEncoder(Counting(512))
    monkeypatch.setattr(encoders, "load", lambda spec: encoder)
    Fielded(SPEC).index(corpus)
    assert sorted(encoder.inner.encoded) == ["bird", "cat", "dog"]
    Fielded(SPEC, weights={"title": 1.0, "text": 5.0}).index(corpus)
    Fielded(SPEC, weights={"tags": 1.0}, normalize=True).index(corpus)
    assert len(encoder.inner.encoded) == 3


def test_vectors_that_are_not_unit_are_scaled(corpus, monkeypatch):
    """Field vectors and the query count by direction alone."""

    class Long(Hashing):
        def encode(self, texts, side):
            return 7 * super().encode(texts, side)

    expected = scores(corpus, "cat")
    long = CachedEncoder(Long(512, seed=0))
    monkeypatch.setattr(encoders, "load", lambda spec: long)
    monkeypatch.setenv("BENCH_CACHE", "/dev/null/none")
    with pytest.warns(RuntimeWarning, match="not cached"):
        assert scores(corpus, "cat") == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"weights": {"titel": 1}}, "unknown field 'titel'; did you mean 'title'"),
        ({"fields": ["tetx"]}, "unknown field 'tetx'; did you mean 'text'"),
        ({"weights": {"title": -1}}, "weight of field 'title' is -1; allowed: a number, 0 or more"),
        ({"weights": {"title": "2"}}, "weight of field 'title' is '2'"),
        ({"weights": {"title": float("nan")}}, "weight of field 'title' is nan"),
        ({"weights": {"title": float("inf")}}, "weight of field 'title' is inf"),
        ({"weights": {"title": 0, "text": 0}}, "no field has a weight above 0"),
        ({"weights": {}}, "no field has a weight above 0"),
        ({"weights": {"title": 1}, "fields": ["text"]}, "no field has a weight above 0"),
        ({"mode": "join"}, "unknown mode of fielded 'join'; did you mean 'joined'"),
    ],
)
def test_mistakes_are_usage_errors(corpus, params, message):
    """Each names the value and what is allowed."""
    with pytest.raises(UsageError, match=message):
        Fielded(SPEC, **params).index(corpus)
