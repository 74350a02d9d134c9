"""BM25 against two other implementations and against its formula by hand."""

import logging
import math

import bm25s
import numpy as np
import pytest
from rank_bm25 import BM25Okapi

from qrels.data import Corpus
from qrels.errors import UsageError
from retrievers.bm25 import BM25, METHODS

WORDS = [f"word{number}" for number in range(60)]


@pytest.fixture(scope="module")
def corpus():
    """200 texts of 0 to 40 words, frequent ones in more than half of them."""
    rng = np.random.default_rng(7)
    chance = 1 / np.arange(1, len(WORDS) + 1)
    chance /= chance.sum()
    texts = [" ".join(rng.choice(WORDS, rng.integers(0, 41), p=chance)) for _ in range(200)]
    return Corpus([f"d{number:03}" for number in rng.permutation(200)], {"text": texts})


@pytest.fixture(scope="module")
def queries():
    rng = np.random.default_rng(8)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 8))) for _ in range(40)] + ["word0 word0"]


def found_scores(retriever, corpus, queries):
    """float64 (n_queries, n_docs) of what was returned, NaN where a document was not."""
    retriever.index(corpus)
    run = retriever.search(queries, len(corpus))
    scores = np.full((len(queries), len(corpus)), np.nan)
    for row, (docs, values) in enumerate(zip(run.docs, run.scores, strict=True)):
        scores[row, docs[docs >= 0]] = values[docs >= 0]
    return scores


def holds_a_term(corpus, queries):
    """bool (n_queries, n_docs): does the document hold a word of the query?"""
    texts = [set(text.split()) for text in corpus.fields["text"]]
    return np.array([[bool(words & set(query.split())) for words in texts] for query in queries])


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75), (2.0, 1.0), (1.5, 0.0)])
@pytest.mark.parametrize("method", [name for name in METHODS if name != "okapi"])
def test_scores_are_those_of_bm25s(corpus, queries, method, k1, b):
    """Each document with a query term has bm25s's score, unless that is 0; no other is returned."""
    logging.getLogger("bm25s").setLevel(logging.ERROR)
    other = bm25s.BM25(k1=k1, b=b, delta=0.5, method=method)
    other.index([text.split() for text in corpus.fields["text"]], show_progress=False)
    expected = np.array([other.get_scores(query.split()) for query in queries], np.float64)
    expected[~holds_a_term(corpus, queries) | (expected == 0)] = np.nan
    scores = found_scores(BM25(method, k1, b), corpus, queries)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4)])
def test_okapi_agrees_with_rank_bm25(corpus, queries, k1, b):
    """Method okapi gives rank-bm25's scores, floor for negative idf included, and its order."""
    other = BM25Okapi([text.split() for text in corpus.fields["text"]], k1=k1, b=b)
    expected = np.array([other.get_scores(query.split()) for query in queries])
    assert any(value == other.epsilon * other.average_idf for value in other.idf.values())
    retriever = BM25("okapi", k1, b)
    scores = found_scores(retriever, corpus, queries)
    np.testing.assert_allclose(np.nan_to_num(scores), expected, rtol=1e-5, atol=1e-7)
    run = retriever.search(queries, 10)
    for row, docs in enumerate(run.docs):
        in_other = expected[row, docs[docs >= 0]]
        assert (np.diff(in_other) <= 1e-5).all()
        assert in_other[-1] >= np.sort(expected[row])[-len(in_other)] - 1e-5


def test_the_formula_by_hand():
    """idf * tf / (tf + k1 * (1 - b + b * length / mean)), worked for one document."""
    corpus = Corpus(["a", "b", "c"], {"text": ["cat cat dog", "dog", "fish"]})
    retriever = BM25(k1=0.9, b=0.4, stemmer=None, stop_words=None)
    retriever.index(corpus)
    run = retriever.search(["cat"], 3)
    expected = math.log(1 + 2.5 / 1.5) * 2 / (2 + 0.9 * (0.6 + 0.4 * 3 / (5 / 3)))
    assert run.docs.tolist() == [[0, -1, -1]]
    assert run.scores[0, 0] == pytest.approx(expected, rel=1e-6)


def test_negative_scores_are_returned():
    """Where okapi's mean idf is negative, a document that holds the term still comes back."""
    corpus = Corpus(["a", "b", "c"], {"text": ["cat", "cat", "cat dog dog"]})
    retriever = BM25("okapi")
    retriever.index(corpus)
    run = retriever.search(["cat"], 3)
    assert (run.docs >= 0).all()
    assert (run.scores < 0).all()


@pytest.mark.parametrize("method", ["bm25+", "bm25l"])
def test_what_a_term_adds_to_every_document_brings_none_in(method):
    """The offset of an absent term raises scores, and returns no document without any term."""
    corpus = Corpus(["a", "b", "c"], {"text": ["cat", "dog", "fish"]})
    retriever = BM25(method)
    retriever.index(corpus)
    alone, both = retriever.search(["cat", "cat dog"], 3)[1]
    assert np.isfinite(alone).tolist() == [True, False, False]
    assert both[0] > alone[0]


def test_a_term_in_all_documents_finds_nothing_where_it_scores_zero():
    """No document of score zero is returned: atire's idf is 0 for a term that all have."""
    corpus = Corpus(["a", "b"], {"text": ["cat dog", "cat"]})
    retriever = BM25("atire")
    retriever.index(corpus)
    assert retriever.search(["cat", "cat dog"], 2).docs.tolist() == [[-1, -1], [0, -1]]


def test_the_order_of_a_querys_words_changes_nothing(corpus):
    """The same words in another order give the same bits."""
    retriever = BM25()
    retriever.index(corpus)
    one, other = retriever.search(["word1 word5 word9 word30", "word30 word9 word1 word5"], 50)[1]
    assert np.array_equal(one, other)


def test_only_the_named_fields_are_searched(toy_corpus):
    """fields chooses; by default all fields count."""
    for fields, expected in ((["title"], {0}), (["text"], {0, 1}), (None, {0, 1})):
        retriever = BM25(fields=fields)
        retriever.index(toy_corpus)
        docs = retriever.search(["cats"], 6).docs[0]
        assert set(docs[docs >= 0].tolist()) == expected


WRONG = {
    "method": ({"method": "lucen"}, "unknown BM25 method 'lucen'; did you mean 'lucene'?"),
    "k1": ({"k1": -1}, "k1 is -1; allowed: a number 0 or more"),
    "k1-infinite": ({"k1": math.inf}, "k1 is inf"),
    "k1-text": ({"k1": "high"}, "k1 is 'high'"),
    "b": ({"b": 1.5}, "b is 1.5; allowed: a number from 0 to 1"),
    "b-nan": ({"b": math.nan}, "b is nan"),
    "delta": ({"delta": -0.1}, "delta is -0.1"),
    "fields": ({"fields": ["titel"]}, "unknown field 'titel'; did you mean 'title'?"),
    "stemmer": ({"stemmer": "klingon"}, "unknown stemmer 'klingon'"),
}


@pytest.mark.parametrize(("params", "message"), WRONG.values(), ids=WRONG)
def test_wrong_parameters_are_refused(toy_corpus, params, message):
    """A parameter out of range is a UsageError that names it, its value and what is allowed."""
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        BM25(**params).index(toy_corpus)
