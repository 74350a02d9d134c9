"""Fewer dimensions: the first of an encoder's, and a corpus's principal axes."""

import numpy as np
import pytest

import encoders
from encoders.cache import CachedEncoder, cache_policy
from encoders.hashing import Hashing
from encoders.reduced import Reduced, principal_axes, projected, truncated
from qrels.data import Corpus
from qrels.errors import UsageError
from retrievers.dense import Dense

TEXTS = ["a cat", "a dog and a cat", "", "planets far away"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


def matrix(count=200, dimension=12):
    """Random vectors that spread less and less from one direction to the next."""
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(count, dimension)) * 2.0 ** -np.arange(dimension)
    turn = np.linalg.qr(rng.normal(size=(dimension, dimension)))[0]
    return (spread @ turn).astype(np.float32)


def test_the_first_numbers_at_the_whole_length():
    """(3, 4, 0, 12) of length 13 becomes (3, 4) times 13 / 5; where nothing is left, zero."""
    found = truncated(np.array([[3, 4, 0, 12], [0, 0, 1, 0]], np.float32), 2)
    np.testing.assert_allclose(found, [[3 * 2.6, 4 * 2.6], [0, 0]], rtol=1e-6)


def test_other_dimensions_encode_nothing_again():
    """The cache keeps whole vectors, and each number of dimensions is another encoder."""
    whole = CachedEncoder(Hashing(64))
    expected = whole.encode(TEXTS, "passage")
    with cache_policy() as stats:
        found = {size: Reduced(whole, size) for size in (8, 32)}
        for size, encoder in found.items():
            vectors = encoder.encode(TEXTS, "passage")
            assert vectors.shape == (4, encoder.dimension) == (4, size)
            np.testing.assert_array_equal(vectors, truncated(expected, size))
    assert stats.texts == stats.from_cache == 2 * len(TEXTS)
    assert {v.shape[1] for v in found[8].encode_tokens(TEXTS, "query")} == {8}
    assert len({whole.digest, *(encoder.digest for encoder in found.values())}) == 3
    assert found[8].describe() == {**whole.describe(), "dimensions": 8}


def test_a_spec_takes_dimensions():
    """The encoder's own parameters stay, and the whole encoder is the one of its spec."""
    found = encoders.load("org/name?query_prompt=query: &dimensions=128&normalise=false")
    assert isinstance(found, Reduced)
    assert found.whole is encoders.load("org/name?query_prompt=query: &normalise=false")
    assert found.dimensions == 128
    assert encoders.load("minilm?dimensions=8").whole is encoders.load("minilm")


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        (0, "dimensions are 0; allowed: 1 to 64"),
        (65, "dimensions are 65; allowed: 1 to 64"),
        (2.0, "dimensions are 2.0; expected a whole number"),
        (True, "dimensions are True; expected a whole number"),
    ],
)
def test_dimensions_out_of_range_are_usage_errors(dimensions, message):
    """For the first numbers and for principal axes alike."""
    with pytest.raises(UsageError, match=message):
        Reduced(CachedEncoder(Hashing(64)), dimensions).encode(TEXTS, "query")
    with pytest.raises(UsageError, match=message):
        principal_axes(np.zeros((3, 64), np.float32), dimensions, 10, 0)
    with pytest.raises(UsageError, match=message):
        Dense("hashing?dimension=64", pca=dimensions).index(Corpus(["d"], {"text": ["a cat"]}))


def test_a_spec_with_dimensions_that_are_no_number():
    """One line, when the spec is read."""
    with pytest.raises(UsageError, match="dimensions is 'few'; expected int"):
        encoders.load("minilm?dimensions=few")


def test_principal_axes_are_the_leading_right_singular_vectors():
    """As NumPy's SVD finds them, up to their signs."""
    vectors = matrix()
    axes = principal_axes(vectors, 5, len(vectors), 0)
    expected = np.linalg.svd(vectors.astype(np.float64), full_matrices=False)[2][:5].T
    np.testing.assert_allclose(np.abs((axes * expected).sum(axis=0)), 1, atol=1e-5)
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    assert (largest > 0).all()


def test_all_axes_keep_every_dot_product():
    """With as many axes as dimensions nothing is lost."""
    vectors = matrix()
    found = projected(vectors, principal_axes(vectors, 12, 200, 0))
    np.testing.assert_allclose(found @ found.T, vectors @ vectors.T, atol=1e-5)


def test_the_sample_is_seeded():
    """The same seed gives the same axes, another seed others, and all vectors need none."""
    vectors = matrix()
    axes = [principal_axes(vectors, 4, 50, seed) for seed in (1, 1, 2)]
    assert np.array_equal(axes[0], axes[1])
    assert not np.array_equal(axes[0], axes[2])
    assert np.array_equal(*(principal_axes(vectors, 4, 200, seed) for seed in (1, 2)))


def test_a_query_is_projected_as_alone_in_any_batch():
    """The batch changes no bit."""
    vectors = matrix()
    axes = principal_axes(vectors, 5, 200, 0)
    whole = projected(vectors, axes)
    assert all(np.array_equal(projected(vectors[i : i + 1], axes)[0], whole[i]) for i in range(200))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_dense_keeps_the_axes_with_the_index(dtype, tmp_path):
    """Queries meet documents on the same axes, before and after save and load."""
    words = [f"word{number}" for number in range(30)]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, 5)) for _ in range(60)]
    corpus = Corpus([f"d{number}" for number in range(60)], {"text": texts})
    built, loaded = (Dense("hashing?dimension=64", dtype=dtype, pca=20) for _ in range(2))
    built.index(corpus)
    found = built.search(texts, 3)
    assert (found.docs[:, 0] == np.arange(60)).mean() > 0.9
    built.save(tmp_path)
    loaded.load(tmp_path, corpus)
    again = loaded.search(texts, 3)
    assert np.array_equal(again.docs, found.docs)
    assert np.array_equal(again.scores, found.scores)
    assert np.load(tmp_path / "vectors.npy").shape == (60, 20)
