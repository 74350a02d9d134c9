"""From tokens to postings: by sorting, by compiled counting, and as SciPy's sparse matrices do."""

import numpy as np
import pytest

from qrels.data import Corpus
from retrievers import counting, tokenise
from retrievers.bm25 import BM25, METHODS
from retrievers.counting import blocks, counted
from retrievers.postings import count
from retrievers.tokenise import Tokens

SHAPES = {  # documents, longest text, terms
    "usual": (200, 30, 40),
    "one-document": (1, 50, 10),
    "one-term": (50, 4, 1),
    "empty-texts": (9, 1, 5),
    "rare-terms": (30, 5, 1000),
    "nothing": (0, 1, 0),
}


def tokens_of(n_docs, longest, n_terms):
    """Random tokens, of which some documents have none and some terms neither."""
    rng = np.random.default_rng(n_docs)
    lengths = rng.integers(0, longest, n_docs)
    terms = rng.integers(0, max(1, n_terms), lengths.sum()).astype(np.int32)
    return Tokens(np.concatenate([[0], lengths.cumsum()]).astype(np.int64), terms)


@pytest.fixture(params=[0, 10**9], ids=["compiled", "sorted"])
def way(request, monkeypatch):
    monkeypatch.setattr(counting, "MANY", request.param)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_postings_are_those_of_a_sparse_matrix(shape, way):
    """Bounds, documents in order and frequencies equal SciPy's, whichever way they are found."""
    tokens, (n_docs, _, n_terms) = tokens_of(*shape), shape
    docs = np.repeat(np.arange(n_docs, dtype=np.int32), np.diff(tokens.indptr))
    expected = count(docs, tokens.terms, np.ones(len(docs)), (n_docs, n_terms))
    found = counted(tokens, n_terms)
    assert [array.dtype for array in found] == [np.int64, np.int32, np.int32]
    for mine, other in zip(found, expected, strict=True):
        assert mine.tolist() == other.tolist()


@pytest.mark.parametrize("size", [1, 3, 10, 10**6])
def test_blocks_are_all_postings_once(size, monkeypatch):
    """In order, each within its size or a single term, without end for no term."""
    monkeypatch.setattr(counting, "AT_ONCE", size)
    indptr = np.array([0, 0, 2, 7, 8, 8, 11, 11])
    parts = list(blocks(indptr))
    assert [i for terms, _ in parts for i in range(7)[terms]] == list(range(7))
    assert [i for _, found in parts for i in range(11)[found]] == list(range(11))
    for terms, found in parts:
        assert found == slice(indptr[terms.start], indptr[terms.stop])
        assert found.stop - found.start <= size or terms.stop - terms.start == 1
    assert list(blocks(np.zeros(1, np.int64))) == []


@pytest.mark.parametrize("method", METHODS)
def test_an_index_is_the_same_however_it_is_built(method, monkeypatch):
    """Compiled and in small blocks, the saved arrays are bit for bit those of the other way."""
    rng = np.random.default_rng(5)
    texts = [
        " ".join(f"w{n}ord" for n in rng.integers(0, 40, rng.integers(0, 9))) for _ in "d" * 80
    ]
    corpus = Corpus([f"d{number}" for number in range(80)], {"text": texts})
    expected = arrays_of(BM25(method), corpus)
    for module, name in [(tokenise, "BLOCK"), (counting, "MANY"), (counting, "AT_ONCE")]:
        monkeypatch.setattr(module, name, 7)
    found = arrays_of(BM25(method), corpus)
    assert list(found["known"].items()) == list(expected["known"].items())
    for name in ("indptr", "docs", "impacts", "offsets"):
        assert found[name].dtype == expected[name].dtype
        assert np.array_equal(found[name], expected[name])


def arrays_of(retriever, corpus):
    retriever.index(corpus)
    return vars(retriever._postings)


@pytest.mark.parametrize("texts", [["", "?"], ["größe naïve", "日本語 größe"]])
def test_a_vocabulary_comes_back_from_its_file(texts, tmp_path):
    """Terms in their order, beyond ASCII and none at all."""
    corpus, retriever, loaded = Corpus(["a", "b"], {"text": texts}), BM25(), BM25()
    retriever.index(corpus)
    retriever.save(tmp_path)
    loaded.load(tmp_path, corpus)
    assert list(loaded._postings.known.items()) == list(retriever._postings.known.items())
