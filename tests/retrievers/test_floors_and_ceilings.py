"""Floors and ceilings: nothing, anything, and what the judgements call relevant."""

import numpy as np
import pytest

from qrels.data import ABSENT, Corpus, Qrels
from qrels.errors import UsageError
from qrels.ranking import check_run
from retrievers import create

CORPUS = Corpus([f"d{i}" for i in range(30)], {"text": [f"text {i}" for i in range(30)]})


def test_nothing_is_found_by_none():
    """Every ranking is empty."""
    retriever = create("none")
    retriever.index(CORPUS)
    run = retriever.search(["a", "b"], 4)
    assert (run.docs == ABSENT).all()
    assert run.docs.shape == (2, 4)
    check_run(*run, (2, 4), CORPUS.tie_order, "none")


def test_random_documents_are_different_and_the_same_again():
    """A query's ranking depends on its text and the seed, not on what is asked beside it."""
    retriever = create("random")
    retriever.index(CORPUS)
    run = retriever.search(["a", "b"], 40)
    assert sorted(run.docs[0, :30]) == list(range(30))
    assert (run.docs[:, 30:] == ABSENT).all()
    assert not np.array_equal(run.docs[0], run.docs[1])
    assert np.array_equal(retriever.search(["b"], 40).docs[0], run.docs[1])
    other = create("random?seed=14")
    other.index(CORPUS)
    assert not np.array_equal(other.search(["a"], 40).docs[0], run.docs[0])


def test_random_documents_are_uniform():
    """Over many queries each document comes first about as often as any other."""
    retriever = create("random")
    retriever.index(CORPUS)
    first = retriever.search([str(i) for i in range(6000)], 1).docs[:, 0]
    counts = np.bincount(first, minlength=30)
    assert np.abs(counts - 200).max() < 5 * np.sqrt(200)


def test_gold_ranks_the_relevant_by_grade():
    """Best grade first, nothing below the level, nothing that the corpus lacks."""
    retriever = create("gold")
    qrels = Qrels(
        np.array([0, 4, 4]), np.array([3, 5, 7, 30], np.int32), np.array([1, 3, 2, 3], np.int16),
        ("elsewhere",),
    )  # fmt: skip
    retriever.tell(["a", "b"], qrels, 2)
    retriever.index(CORPUS)
    run = retriever.search(["a", "b", "c"], 3)
    assert run.docs.tolist() == [[5, 7, ABSENT], [ABSENT] * 3, [ABSENT] * 3]
    check_run(*run, (3, 3), CORPUS.tie_order, "gold")


def test_queries_of_one_text_share_what_is_relevant():
    """The ranking holds the relevant documents of both, at the better grade."""
    retriever = create("gold")
    qrels = Qrels(np.array([0, 1, 3]), np.array([3, 3, 4], np.int32), np.array([1, 2, 1], np.int16))
    retriever.tell(["a", "a"], qrels, 1)
    retriever.index(CORPUS)
    assert retriever.search(["a"], 3).docs.tolist() == [[3, 4, ABSENT]]


def test_gold_untold_says_so():
    """It is no retriever that anybody could ship."""
    retriever = create("gold")
    retriever.index(CORPUS)
    with pytest.raises(UsageError, match="only `bench run`"):
        retriever.search(["a"], 3)
