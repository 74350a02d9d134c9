"""The rough pass of dense search: nothing that belongs to the k best is passed over."""

import numpy as np
import pytest

from qrels.ranking import top_k
from retrievers import candidates
from retrievers.stored import DTYPES, Stored
from retrievers.vectors import SIMILARITIES, row_norms, search_vectors, unit

DOCS, DIMENSION = 3000, 24


def vectors(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)


def whole(matrix, queries, k, similarity, tie_order, allowed=None, factors=None):
    """The k best by scoring every document by itself."""
    wide = matrix.astype(np.float64)
    if factors is not None:
        wide *= factors[:, None]
    scores = np.stack([SIMILARITIES[similarity](wide, q.astype(np.float64)) for q in queries])
    scores = scores.astype(np.float32)
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    return top_k(scores, k, tie_order)


def assert_same(found, expected):
    assert np.array_equal(found.docs, expected.docs)
    assert np.array_equal(found.scores, expected.scores)


@pytest.fixture
def tie_order():
    return np.random.default_rng(2).permutation(DOCS).astype(np.int32)


def test_int8_scores_are_those_of_the_kept_vectors(tie_order):
    """Whatever the batch and the block, a score is that of the codes times the factor."""
    stored, queries = DTYPES["int8"](vectors(DOCS)), vectors(40, seed=1)
    for similarity in SIMILARITIES:
        expected = whole(stored.codes, queries, 10, similarity, tie_order, factors=stored.factors)
        for block, batch in [(7, 40), (5000, 40), (5000, 1)]:
            for start in range(0, 40, batch):
                found = search_vectors(
                    stored.codes, queries[start : start + batch], 10, similarity, tie_order,
                    block=block, factors=stored.factors,
                )  # fmt: skip
                assert np.array_equal(found.docs, expected.docs[start : start + batch])
                assert np.array_equal(found.scores, expected.scores[start : start + batch])


@pytest.mark.parametrize("share", [0.02, 0.4, 0.6, 0.99])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [1, 30])
def test_filters_of_every_share(share, dtype, batch, tie_order):
    """Whether the allowed documents are copied out or the others struck out changes nothing."""
    stored, queries = DTYPES[dtype](vectors(DOCS)), vectors(batch, seed=1)
    allowed = np.random.default_rng(3).random(DOCS) < share
    expected = whole(stored.codes, queries, 70, "cosine", tie_order, allowed, stored.factors)
    found = search_vectors(
        stored.codes, queries, 70, "cosine", tie_order, allowed, factors=stored.factors
    )
    assert np.array_equal(found.docs, np.where(np.isinf(expected.scores), -1, expected.docs))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch", [1, 4, 9])
def test_threads_change_no_bit(threads, batch, tie_order, monkeypatch):
    """Ranges of documents searched apart give what one range does."""
    matrix, queries = vectors(DOCS), vectors(batch, seed=1)
    monkeypatch.setattr(candidates, "blas_threads", lambda: threads)
    monkeypatch.setattr("retrievers.vectors.blas_threads", lambda: threads)
    monkeypatch.setattr(candidates, "SPLIT", 0)
    monkeypatch.setattr("retrievers.vectors.SPLIT", 0)
    found = search_vectors(matrix, queries, 12, "l2", tie_order)
    assert_same(found, whole(matrix, queries, 12, "l2", tie_order))


@pytest.mark.parametrize("batch", [1, 40])
def test_equal_documents_do_not_fill_the_memory(batch, tie_order, monkeypatch):
    """Beyond HELD candidates those that are surely beaten go, and the best stay the best."""
    matrix, queries = vectors(DOCS), vectors(batch, seed=1)
    matrix[100:] = matrix[0]
    held = []
    monkeypatch.setattr(candidates, "HELD", 500)
    monkeypatch.setattr(candidates, "SMALL", 10)
    kept = candidates.Pool.where
    monkeypatch.setattr(
        candidates.Pool, "where", lambda pool, rows: held.append(len(pool.docs)) or kept(pool, rows)
    )
    found = search_vectors(matrix, queries, 5, "cosine", tie_order, block=50)
    assert_same(found, whole(matrix, queries, 5, "cosine", tie_order))
    assert max(held) < 500 + 2 * batch * (50 + 5)


def test_one_query_with_far_more_candidates_than_others(tie_order, monkeypatch):
    """A query to which most documents are equal has its own cut, not the others'."""
    monkeypatch.setattr(candidates, "SMALL", 10)
    matrix = vectors(DOCS)
    matrix[50:2500] = 3 * matrix[1]
    queries = np.concatenate([vectors(30, seed=1), matrix[1:2]])
    found = search_vectors(matrix, queries, 6, "dot", tie_order, block=100)
    assert_same(found, whole(matrix, queries, 6, "dot", tie_order))


@pytest.mark.parametrize("lengths", [1.0, 5.0, "many"])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_vectors_of_one_length_and_of_many(lengths, similarity, tie_order):
    """Leaving out a factor that is nearly the same for all does not change what is found."""
    scale = np.random.default_rng(4).uniform(0.1, 9, (DOCS, 1)) if lengths == "many" else lengths
    matrix, queries = (unit(vectors(DOCS)) * scale).astype(np.float32), vectors(20, seed=1)
    matrix[1::9] = matrix[0]
    found = search_vectors(matrix, queries, 30, similarity, tie_order)
    assert_same(found, whole(matrix, queries, 30, similarity, tie_order))


def test_distances_that_rounding_makes_equal_follow_the_one_rule(tie_order):
    """A query so far away that float32 tells few distances apart: ties go by doc_id."""
    matrix, query = vectors(DOCS), 1e4 * vectors(1, seed=1)
    found = search_vectors(matrix, query, 50, "l2", tie_order)
    assert_same(found, whole(matrix, query, 50, "l2", tie_order))


def test_half_precision_is_widened_exactly():
    """Every finite float16 becomes the same number in float32."""
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).reshape(256, 256)
    halves = np.where(np.isfinite(halves), halves, np.float16(0))
    assert np.array_equal(Stored(halves).filler(256)(slice(0, 256)), halves.astype(np.float32))


def test_int8_is_within_half_a_step():
    """No number is further off than half of its vector's largest through 127; zero stays zero."""
    matrix = np.concatenate([vectors(50), np.zeros((1, DIMENSION), np.float32)])
    stored = DTYPES["int8"](matrix)
    assert stored.codes.dtype == np.int8
    error = np.abs(stored.codes * stored.factors[:, None] - matrix).max(axis=1)
    assert (error <= np.abs(matrix).max(axis=1) / 127 * 0.5001).all()
    assert np.abs(stored.codes[:50]).max(axis=1).tolist() == [127] * 50
    assert not stored.codes[50].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_mapped_matrix_is_searched_as_it_lies(dtype, tie_order, tmp_path):
    """Vectors in a file are found as those in memory are."""
    stored = DTYPES[dtype](vectors(DOCS))
    np.save(tmp_path / "vectors.npy", stored.codes)
    mapped, factors = np.load(tmp_path / "vectors.npy", mmap_mode="r"), stored.factors
    norms = row_norms(mapped, factors)
    found = search_vectors(
        mapped, vectors(9, 1), 10, "dot", tie_order, norms=norms, factors=factors
    )
    expected = search_vectors(stored.codes, vectors(9, 1), 10, "dot", tie_order, factors=factors)
    assert_same(found, expected)
