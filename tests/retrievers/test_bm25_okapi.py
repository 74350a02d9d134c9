"""rank-bm25 behind the protocol."""

import numpy as np
import pytest
from rank_bm25 import BM25Okapi as Engine

from qrels.data import Corpus
from retrievers.bm25 import BM25
from retrievers.bm25_okapi import BM25Okapi

QUERIES = ["word0 word3", "word7 word7 word9", "word1 word2 word11 word4"]


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(21)
    texts = [
        " ".join(
            f"word{min(int(number), 29)}" for number in rng.exponential(6, rng.integers(1, 20))
        )
        for _ in range(90)
    ]
    return Corpus([f"d{number}" for number in range(90)], {"text": texts})


@pytest.mark.parametrize(
    "params", [{}, {"k1": 0.9, "b": 0.4}, {"epsilon": 0.5}], ids=["defaults", "k1-b", "epsilon"]
)
def test_scores_are_rank_bm25s(corpus, params):
    """Each returned document has rank-bm25's score; those left out have score 0."""
    retriever = BM25Okapi(**params)
    retriever.index(corpus)
    engine = Engine([text.split() for text in corpus.fields["text"]], **params)
    for query, docs, scores in zip(QUERIES, *retriever.search(QUERIES, 90), strict=True):
        expected = engine.get_scores(query.split())
        assert set(np.flatnonzero(expected).tolist()) == set(docs[docs >= 0].tolist())
        np.testing.assert_allclose(scores[docs >= 0], expected[docs[docs >= 0]], rtol=1e-6)


def test_it_and_bm25_check_each_other(corpus):
    """Our own engine by method okapi gives the same scores, rank by rank, on analysed text."""
    slow, fast = BM25Okapi(), BM25("okapi", k1=1.5, b=0.75)
    slow.index(corpus)
    fast.index(corpus)
    np.testing.assert_allclose(
        slow.search(QUERIES, 90).scores, fast.search(QUERIES, 90).scores, rtol=1e-5
    )
