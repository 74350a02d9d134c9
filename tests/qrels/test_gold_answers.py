"""What queries say of their answers, and the suite of those that say something."""

from dataclasses import replace

import numpy as np
import pytest

from qrels.answers import answers_of, gold_answers, unanswerable
from qrels.data import Queries
from qrels.errors import DataError, UsageError
from qrels.suites import load_suite


def queries(*metadata):
    names = [f"q{i}" for i in range(len(metadata))]
    return Queries(names, ["?"] * len(names), list(metadata))


def test_gold_answers_are_those_of_answerable_queries():
    """A query that says it has no answer has none, whatever stands beside it."""
    given = queries({"answers": ["a", "b"]}, {}, {"answers": ["c"], "unanswerable": True})
    assert gold_answers(given) == [("a", "b"), (), ()]
    assert unanswerable(given).tolist() == [False, False, True]
    assert unanswerable(queries({"is_impossible": True})).tolist() == [True]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"answers": "a"}, "'q0': answers = 'a'; expected a list of strings"),
        ({"answers": [1]}, r"expected a list of strings"),
        ({"unanswerable": "yes"}, "metadata.unanswerable = 'yes'; expected true or false"),
        ({"is_impossible": 1}, "metadata.is_impossible = 1; expected true or false"),
    ],
)
def test_anything_else_is_one_line(item, said):
    """It names the query, the value and what is allowed."""
    with pytest.raises(DataError, match=said.replace("[", r"\[")):
        gold_answers(queries(item))


def test_the_answers_of_a_suite_keep_their_judgements(toy_suite):
    """Queries of which nothing is known are left out, with their judgements and no others."""
    given = replace(toy_suite, queries=queries({}, {"answers": ["a"]}, {"unanswerable": True}))
    found = answers_of(given)
    assert found.queries.query_ids == ["q1", "q2"]
    assert (found.task, found.split) == ("answers", "test answers")
    assert found.qrels.indptr.tolist() == [0, 3, 3]
    assert found.qrels.docs.tolist() == [1, 2, 3]
    assert found.qrels.grades.tolist() == [0, 1, 1]
    assert found.qrels.grades.dtype == np.int16


def test_a_suite_without_any_is_refused(toy_suite):
    """The line says what its queries lack."""
    with pytest.raises(UsageError, match='"answers"'):
        answers_of(toy_suite)


def test_the_split_of_answers_has_the_unanswerable_queries():
    """The shipped suite leaves them out of retrieval, and measures abstaining on them."""
    ranked, answers = load_suite("qa", "test"), load_suite("qa", "test answers")
    assert (len(ranked.queries), ranked.unanswerable_skipped) == (98, 17)
    assert (len(answers.queries), unanswerable(answers.queries).sum()) == (115, 17)
