"""The k best of each row, against sorting everything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrels.ranking import top_k


def sorted_whole(scores, k, tie_order, allowed):
    """The same by Python's sort, a row at a time."""
    docs = np.full((len(scores), k), -1)
    best = np.full((len(scores), k), -np.inf)
    for row, values in enumerate(scores):
        found = [doc for doc in range(len(values)) if allowed[doc] and values[doc] > -np.inf]
        found.sort(key=lambda doc: (-values[doc], tie_order[doc]))
        docs[row, : len(found[:k])] = found[:k]
        best[row, : len(found[:k])] = values[found[:k]]
    return docs, best


SCORES = {
    "distinct": lambda rng, shape: rng.normal(size=shape),
    "few-levels": lambda rng, shape: rng.integers(-2, 3, shape),
    "constant": lambda rng, shape: np.zeros(shape),
    "mostly-absent": lambda rng, shape: np.where(rng.random(shape) < 0.98, -np.inf, 1.5),
    "all-absent": lambda rng, shape: np.full(shape, -np.inf),
    "ascending": lambda rng, shape: np.arange(np.prod(shape)).reshape(shape),
    "half-absent": lambda rng, shape: np.where(rng.random(shape) < 0.5, -np.inf, rng.random(shape)),
}  # fmt: skip


@pytest.mark.parametrize("n_docs", [1, 7, 2047, 2048, 2049, 9001])
@pytest.mark.parametrize("make", SCORES.values(), ids=SCORES)
def test_large_rows_are_cut_as_if_sorted(make, n_docs):
    """Thinning a long row out before the cut loses nothing, whatever is equal or absent."""
    rng = np.random.default_rng(n_docs)
    scores = make(rng, (2, n_docs)).astype(np.float32)
    tie_order = rng.permutation(n_docs).astype(np.int32)
    for allowed in (None, rng.random(n_docs) < 0.6):
        mask = np.ones(n_docs, bool) if allowed is None else allowed
        for k in (1, 10, 700, n_docs + 1):
            docs, best = sorted_whole(scores, k, tie_order, mask)
            run = top_k(scores, k, tie_order, allowed)
            assert np.array_equal(run.docs, docs)
            assert np.array_equal(run.scores, best.astype(np.float32))


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_small_rows_are_cut_as_if_sorted(data):
    """For any few scores, any order of ties, any filter and any k."""
    n_docs = data.draw(st.integers(1, 8))
    values = st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 1e-30, 0.5, 1.0])
    row = st.lists(values, min_size=n_docs, max_size=n_docs)
    scores = np.array(data.draw(st.lists(row, min_size=1, max_size=3)), np.float32)
    tie_order = np.array(data.draw(st.permutations(range(n_docs))), np.int32)
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=n_docs, max_size=n_docs)))
    k = data.draw(st.integers(1, n_docs + 2))
    docs, best = sorted_whole(scores, k, tie_order, allowed)
    run = top_k(scores, k, tie_order, allowed)
    assert np.array_equal(run.docs, docs)
    assert np.array_equal(run.scores, best.astype(np.float32))


def test_no_queries_give_no_rows():
    """An empty batch keeps its width and its types."""
    docs, scores = top_k(np.empty((0, 5), np.float32), 3, np.arange(5, dtype=np.int32))
    assert (docs.shape, docs.dtype) == ((0, 3), np.int32)
    assert (scores.shape, scores.dtype) == ((0, 3), np.float32)
