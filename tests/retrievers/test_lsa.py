"""LSA against a dense SVD."""

import numpy as np
import pytest

from qrels.data import Corpus
from qrels.errors import UsageError
from retrievers.lsa import LSA

WORDS = [f"word{number}" for number in range(50)]
QUERIES = ["word1 word2 word2", "word7", "word20 word33"]


def make_corpus(n_docs):
    rng = np.random.default_rng(n_docs)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 25))) for _ in range(n_docs)]
    return Corpus([f"d{number}" for number in range(n_docs)], {"text": texts})


def weighted(texts, idf):
    """Dense TF-IDF (1 + log tf) * idf, rows of unit length."""
    counts = np.array([[text.split().count(word) for word in WORDS] for text in texts], float)
    matrix = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * idf
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def dense_cosines(texts, dimensions):
    """float64 (n_queries, n_docs) by NumPy alone."""
    df = np.array([sum(word in text.split() for text in texts) for word in WORDS])
    idf = 1 + np.log((1 + len(texts)) / (1 + df))
    documents = weighted(texts, idf)
    space = np.linalg.svd(documents, full_matrices=False)[2][:dimensions].T
    left, right = weighted(QUERIES, idf) @ space, documents @ space
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    return left @ (right / np.linalg.norm(right, axis=1, keepdims=True)).T


@pytest.mark.parametrize(
    ("n_docs", "dimensions"), [(120, 8), (120, 49), (120, 128), (20, 8), (20, 128)]
)
def test_cosines_are_those_of_a_dense_svd(n_docs, dimensions):
    """The truncated decomposition gives a full one's cosines, and lowers its dimension at need."""
    corpus = make_corpus(n_docs)
    retriever = LSA(dimensions)
    retriever.index(corpus)
    run = retriever.search(QUERIES, n_docs)
    expected = dense_cosines(corpus.fields["text"], dimensions)
    np.testing.assert_allclose(
        run.scores, np.take_along_axis(expected, run.docs, axis=1), atol=2e-6
    )


def test_the_same_seed_gives_the_same_bits():
    """Two builds agree in every component, sign included."""
    one, other = LSA(10), LSA(10)
    one.index(make_corpus(100))
    other.index(make_corpus(100))
    assert np.array_equal(one.encode(QUERIES), other.encode(QUERIES))
    largest = np.abs(one._components).argmax(axis=0)
    assert (one._components[largest, np.arange(10)] > 0).all()


def test_it_finds_what_shares_no_word():
    """Words that keep the same company are near each other, which is the point of LSA."""
    texts = ["car engine", "automobile engine", "automobile", "banana apple", "apple", "banana"]
    retriever = LSA(2)
    retriever.index(Corpus(list("abcdef"), {"text": texts}))
    run = retriever.search(["car"], 6)
    assert set(run.docs[0, :3].tolist()) == {0, 1, 2}


@pytest.mark.parametrize("n_queries", [1, 2, 3, 7, 16])
def test_copies_of_a_text_score_the_same(n_queries):
    """Wherever copies stand and however many queries are asked, they tie to the bit."""
    texts = list(make_corpus(301).fields["text"])
    copies = [3, 4, 17, 64, 100, 255, 299, 300]
    for place in copies:
        texts[place] = "word1 word2 word3 word3 word49"
    retriever = LSA(37)
    retriever.index(Corpus([f"d{number}" for number in range(301)], {"text": texts}))
    run = retriever.search(["word1 word49", *QUERIES, *texts][:n_queries], 301)
    for docs, scores in zip(*run, strict=True):
        assert len(set(scores[np.isin(docs, copies)].tolist())) == 1


def test_texts_without_words_are_neither_found_nor_find(toy_corpus):
    """A zero vector has no direction: an empty document and an unknown query stay out."""
    retriever = LSA()
    retriever.index(toy_corpus)
    known, unknown = retriever.search(["cat", "xyzzy"], 6).docs
    assert sorted(known.tolist()) == [-1, 0, 1, 2, 3, 4]
    assert (unknown == -1).all()


@pytest.mark.parametrize("dimensions", [0, -3, 1.5, "many"])
def test_wrong_dimensions_are_refused(toy_corpus, dimensions):
    """dimensions is an integer of 1 or more."""
    with pytest.raises(UsageError, match=r"dimensions is .*; allowed: an integer, 1 or more"):
        LSA(dimensions).index(toy_corpus)
