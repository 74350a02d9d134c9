"""Priors by hand."""

import numpy as np
import pytest

from qrels.data import Column, Corpus
from qrels.errors import UsageError
from rerankers.metadata import MetadataPrior

E = np.e
DATES = ["2024-01-11", "2024-01-01", "NaT", "2023-12-22"]
CORPUS = Corpus(
    list("abcd"),
    {"text": [""] * 4},
    {
        "downloads": Column("int", np.array([0.0, E - 1, np.nan, E**4 - 1])),  # logs 0, 1, -, 4
        "stars": Column("float", np.array([5.0, 5.0, 5.0, 5.0])),
        "created_at": Column("date", np.array(DATES, "datetime64[s]")),
        "task": Column("str", np.array(["x"] * 4, object)),
    },
)
NONE = {"downloads": 0.0, "likes": 0.0, "recency": 0.0}
CASES = {  # parameters, and the scores of a, b, c, d, whose relevance is 1, 2/3, 1/3, 0
    "relevance": (NONE, [1, 2 / 3, 1 / 3, 0]),
    "nothing": ({**NONE, "relevance": 0.0}, [0, 0, 0, 0]),
    "downloads": ({**NONE, "relevance": 0.0, "downloads": 2.0}, [0, 0.5, 0, 2]),
    "mixed": ({**NONE, "relevance": 0.5, "downloads": 1.0}, [0.5, 1 / 3 + 0.25, 1 / 6, 1]),
    "all-equal": ({**NONE, "relevance": 0.0, "likes": 1.0, "likes_column": "stars"}, [0] * 4),
    "recency": (
        {**NONE, "relevance": 0.0, "recency": 1.0, "half_life_days": 10},
        [1, 0.5, 0, 0.25],
    ),
    "recency-since": (
        {**NONE, "relevance": 0.0, "recency": 1.0, "half_life_days": 10, "reference": "2024-01-01"},
        [1, 1, 0, 0.5],
    ),
}


@pytest.mark.parametrize(("parameters", "expected"), CASES.values(), ids=CASES)
def test_parts_are_scaled_weighted_and_added(parameters, expected, first_stage):
    """Each score is the hand-worked sum; a missing value adds 0."""
    docs, scores = MetadataPrior(**parameters).rerank([""], first_stage([0, 1, 2, 3]), CORPUS, 4)
    np.testing.assert_allclose(scores[0, np.argsort(docs[0])], expected, atol=1e-6)


def test_relevance_is_scaled_among_the_candidates(first_stage):
    """The best candidate counts 1 and the last 0, 1 where all are equal, whatever the list."""
    reranker = MetadataPrior(**NONE)
    run = first_stage([0, 1, 2], [3, 2], [1])
    run.scores[1, :2] = 7.0
    docs, scores = reranker.rerank(["", "", ""], run, CORPUS, 3)
    assert scores[:, 0].tolist() == [1, 1, 1]
    assert docs[1].tolist() == [3, 2, -1]
    assert scores[1].tolist() == [1, 1, -np.inf]
    assert scores[0].tolist() == [1, 0.5, 0]


def test_popularity_lifts_a_document(first_stage):
    """By default the most downloaded of near equals goes first."""
    run = first_stage([1, 3], depth=2)
    assert MetadataPrior(likes=0).rerank([""], run, CORPUS, 2).docs.tolist() == [[1, 3]]
    lifted = MetadataPrior(likes=0, downloads=2.0).rerank([""], run, CORPUS, 2)
    assert lifted.docs.tolist() == [[3, 1]]


def test_a_column_without_values_adds_nothing(first_stage):
    """Where every value is missing the prior is 0."""
    empty = {
        "downloads": Column("int", np.full(2, np.nan)),
        "created_at": Column("date", np.full(2, np.datetime64("NaT", "s"))),
    }
    corpus = Corpus(["a", "b"], {"text": ["", ""]}, empty)
    found = MetadataPrior(likes=0, recency=1.0).rerank([""], first_stage([0, 1]), corpus, 2)
    assert found.scores.tolist() == [[1, 0]]


REFUSED = {
    "column": ({"downloads_column": "download"}, "column 'download'; did you mean 'downloads'"),
    "default-column": ({}, "unknown metadata column 'likes'"),
    "kind": ({"downloads_column": "task"}, "'task' is of kind str; expected int or float"),
    "date-kind": (
        {"likes": 0, "recency": 1.0, "date_column": "stars"},
        "'stars' is of kind float; expected date",
    ),
    "half-life": ({"likes": 0, "recency": 1.0, "half_life_days": 0}, "half_life_days is 0"),
    "reference": ({"likes": 0, "recency": 1.0, "reference": "soon"}, "reference is 'soon'"),
}


@pytest.mark.parametrize(("parameters", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_parameters_are_named(parameters, message, first_stage):
    """A column or value that cannot be used is a UsageError that says what is expected."""
    with pytest.raises(UsageError, match=message):
        MetadataPrior(**parameters).rerank([""], first_stage([0]), CORPUS, 1)


def test_a_column_of_weight_zero_is_not_needed(first_stage):
    """Without weights on it, metadata may be missing altogether."""
    corpus = Corpus(["a"], {"text": [""]})
    found = MetadataPrior(downloads=0, likes=0).rerank([""], first_stage([0]), corpus, 1)
    assert found.docs.tolist() == [[0]]
