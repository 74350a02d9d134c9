"""Fixed filters around any retriever."""

import numpy as np
import pytest

from qrels.data import ABSENT, Column, Corpus
from qrels.errors import UsageError
from retrievers import create
from retrievers.filters import parse_filter

COLUMN = Column("int", np.array([1.0, 5.0, 9.0, np.nan]))
CORPUS = Corpus(list("abcd"), {"text": ["red cat", "red dog", "red", "red cow"]}, {"n": COLUMN})


@pytest.mark.parametrize("name", ["bm25", "dense?encoder=hashing", "bm25f"])
def test_it_is_the_retriever_under_the_filter(name):
    """Rankings and scores are the inner retriever's under the same conditions, others added."""
    plain, filtered = create(name), create("filtered", {"retriever": name, "where": ["n>=2"]})
    for one in (plain, filtered):
        one.index(CORPUS)
    for more in ((), (parse_filter("n<8"),)):
        expected = plain.search(["red dog"], 4, [parse_filter("n>=2"), *more])
        found = filtered.search(["red dog"], 4, more)
        assert np.array_equal(found.docs, expected.docs)
        assert np.array_equal(found.scores, expected.scores)
        assert (found.docs != ABSENT).sum() == 2 - len(more)


def test_a_wrong_condition_is_said_when_it_is_indexed():
    """Before anything is built."""
    with pytest.raises(UsageError, match="license"):
        create("filtered", {"where": ["license=mit"]}).index(CORPUS)


def test_a_retriever_that_cannot_filter_is_refused():
    """It would have to be asked for everything."""
    with pytest.raises(UsageError, match="'random' cannot filter"):
        create("filtered", {"retriever": "random"}).index(CORPUS)
