"""How long each built-in retriever takes to index and to search a small synthetic corpus."""

import numpy as np
import pytest

from qrels.data import Corpus
from retrievers import BUILTINS

N_DOCS, N_QUERIES, K = 500, 20, 100

pytestmark = pytest.mark.parametrize("name", BUILTINS)


@pytest.fixture(scope="module")
def texts():
    """Zipfian texts of some 60 words, then queries of 6."""
    rng = np.random.default_rng(11)
    words = np.array([f"term{number}" for number in range(5000)], object)
    chance = 1 / np.arange(10, len(words) + 10)
    chance /= chance.sum()
    lengths = [*rng.poisson(60, N_DOCS), *[6] * N_QUERIES]
    return [" ".join(rng.choice(words, length, p=chance)) for length in lengths]


@pytest.fixture(scope="module")
def corpus(texts):
    return Corpus([f"d{number}" for number in range(N_DOCS)], {"text": texts[:N_DOCS]})


def test_index(name, corpus, make_retriever, benchmark):
    """Indexing from texts; vectors of the hashing encoder come from its cache after the first."""
    retriever = make_retriever(name, corpus)
    benchmark.pedantic(retriever.index, (corpus,), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("batch", [1, N_QUERIES])
def test_search(name, batch, corpus, texts, make_retriever, benchmark):
    """Searching one query, and a batch."""
    retriever = make_retriever(name, corpus)
    retriever.index(corpus)
    queries = texts[N_DOCS : N_DOCS + batch]
    docs, _ = benchmark.pedantic(
        retriever.search, (queries, K), rounds=10, iterations=2, warmup_rounds=1
    )
    assert docs.shape == (batch, K)
