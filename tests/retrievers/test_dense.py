"""Exact dense search: scores by definition, any block size, ties, precision, saved indexes."""

import numpy as np
import pytest

import encoders
from encoders.cache import cache_policy
from qrels.data import Corpus
from qrels.errors import DataError, UsageError
from qrels.ranking import top_k
from retrievers.dense import Dense
from retrievers.vectors import SIMILARITIES, search_vectors, unit

HASHING = "hashing?dimension=32"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


def vectors(n_docs, dimension=24, scale=1.0, seed=0):
    """Random vectors with copies of two of them here and there, and a zero vector."""
    rng = np.random.default_rng(seed)
    found = (scale * rng.normal(size=(n_docs, dimension))).astype(np.float32)
    found[3::7], found[5::11], found[8] = found[1], found[2], 0
    return found


def by_definition(matrix, query, similarity):
    """Scores float64 (n_docs,), one at a time."""
    scores = []
    for row in matrix.astype(np.float64):
        q, lengths = query.astype(np.float64), np.linalg.norm(row) * np.linalg.norm(query)
        scores.append(
            {
                "dot": row @ q,
                "cosine": row @ q / lengths if lengths else 0.0,
                "l2": -sum((row - q) ** 2),
            }[similarity]
        )
    return np.array(scores)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 300.0])
def test_scores_are_the_definitions(similarity, scale):
    """Ranks and scores agree with one sum a document, zero vectors included."""
    matrix, queries = vectors(200, scale=scale), vectors(9, seed=1)
    tie_order = np.random.default_rng(2).permutation(200).astype(np.int32)
    found = search_vectors(matrix, queries, 200, similarity, tie_order)
    for row, query in enumerate(queries):
        expected = by_definition(matrix, query, similarity)
        np.testing.assert_allclose(
            found.scores[row], expected[found.docs[row]], rtol=1e-5, atol=1e-7
        )
        assert sorted(found.docs[row]) == list(range(200))


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_blocks_batches_and_cuts_change_no_bit(similarity, dtype):
    """Whatever the block, the batch or k, each document has one score, and copies are ties."""
    matrix, queries = vectors(301).astype(dtype), vectors(20, seed=1)
    tie_order = np.random.default_rng(2).permutation(301).astype(np.int32)
    scores = np.stack(
        [
            SIMILARITIES[similarity](matrix.astype(np.float64), query.astype(np.float64))
            for query in queries
        ]
    ).astype(np.float32)
    for k in (1, 2, 7, 43, 44, 45, 300, 301, 310):
        expected = top_k(scores, k, tie_order)
        for block in (1, 13, 100, 301, 5000):
            found = search_vectors(matrix, queries, k, similarity, tie_order, block=block)
            assert np.array_equal(found.docs, expected.docs)
            assert np.array_equal(found.scores, expected.scores)
        alone = [search_vectors(matrix, q[None], k, similarity, tie_order).docs for q in queries]
        assert np.array_equal(np.concatenate(alone), expected.docs)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_only_allowed_documents_are_found(similarity):
    """A mask is applied before the cut, in every block."""
    matrix, queries = vectors(100), vectors(9, seed=1)[:5]
    tie_order = np.arange(100, dtype=np.int32)
    allowed = np.arange(100) % 3 == 0
    whole = search_vectors(matrix, queries, 100, similarity, tie_order)
    found = search_vectors(matrix, queries, 40, similarity, tie_order, allowed, block=17)
    for row in range(5):
        expected = [doc for doc in whole.docs[row] if allowed[doc]]
        assert found.docs[row].tolist() == expected + [-1] * 6


def test_no_documents_no_queries_and_no_k():
    """Empty inputs give arrays of the right shape."""
    none = np.zeros(0, np.int32)
    assert (
        search_vectors(vectors(9)[:0], vectors(9), 3, "dot", none).docs.tolist() == [[-1] * 3] * 9
    )
    order = np.arange(9, dtype=np.int32)
    assert search_vectors(vectors(9), vectors(9)[:0], 3, "dot", order).docs.shape == (0, 3)
    assert search_vectors(vectors(9), vectors(9), 0, "dot", order).docs.shape == (9, 0)


def test_cosine_is_the_dot_product_of_unit_vectors():
    """To 1e-6, whatever the lengths."""
    matrix, queries = vectors(50, scale=20.0), vectors(10, seed=4)
    order = np.arange(50, dtype=np.int32)
    cosine = search_vectors(matrix, queries, 20, "cosine", order)
    dot = search_vectors(unit(matrix), unit(queries), 20, "dot", order)
    np.testing.assert_allclose(cosine.scores, dot.scores, atol=1e-6)


def test_the_text_is_the_chosen_fields(toy_corpus):
    """fields picks what is joined and encoded."""
    retriever = Dense(HASHING, fields=["title"])
    retriever.index(toy_corpus)
    run = retriever.search(["planets"], 2)
    assert run.docs.tolist() == [[3, 2]]
    assert run.scores[0].tolist() == pytest.approx([1, 1])


def test_half_precision_halves_the_index(toy_corpus, tmp_path):
    """float16 keeps the ranking, up to its rounding, in half the bytes."""
    runs, sizes = [], []
    for dtype in ("float32", "float16"):
        retriever = Dense(HASHING, dtype=dtype)
        retriever.index(toy_corpus)
        folder = tmp_path / dtype
        folder.mkdir()
        retriever.save(folder)
        sizes.append((folder / "vectors.npy").stat().st_size - 128)
        runs.append(retriever.search(["the cat on the sofa"], 6))
    assert sizes == [6 * 32 * 4, 6 * 32 * 2]
    np.testing.assert_allclose(runs[0].scores, runs[1].scores, atol=1e-3)


def test_a_loaded_index_is_mapped_and_encodes_no_document(toy_corpus, tmp_path, monkeypatch):
    """load reads vectors from the file; only queries are encoded."""
    built = Dense(HASHING)
    built.index(toy_corpus)
    built.save(tmp_path)
    loaded = Dense(HASHING)
    with cache_policy(enabled=False) as stats:
        loaded.load(tmp_path, toy_corpus)
        found = loaded.search(["biggest planet"], 3)
    assert stats.texts == 1
    assert np.array_equal(found.docs, built.search(["biggest planet"], 3).docs)


def test_an_index_of_another_encoder_is_refused(toy_corpus, tmp_path, monkeypatch):
    """The same spec that now stands for other vectors does not load."""
    built = Dense(HASHING)
    built.index(toy_corpus)
    built.save(tmp_path)
    other = encoders.load("hashing?dimension=32&seed=1")
    monkeypatch.setattr(encoders, "load", lambda spec: other)
    with pytest.raises(DataError, match="built with the encoder 'hashing 1 dimension 32 seed 0'"):
        Dense(HASHING).load(tmp_path, toy_corpus)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"similarity": "cosin"}, "unknown similarity 'cosin'; did you mean 'cosine'"),
        ({"dtype": "float8"}, "unknown dtype 'float8'; did you mean 'float"),
        ({"fields": ["titel"]}, "unknown field 'titel'; did you mean 'title'"),
        ({"encoder": "hashin"}, "unknown encoder 'hashin'; did you mean 'hashing'"),
    ],
)
def test_mistakes_are_usage_errors(toy_corpus, params, message):
    """Each names the value and a close match."""
    with pytest.raises(UsageError, match=message):
        Dense(**{"encoder": HASHING, **params}).index(toy_corpus)


def test_ties_between_copies_go_by_doc_id():
    """Equal texts have equal scores and come in falling order of their ids."""
    corpus = Corpus(
        ["b", "c", "a", "d"], {"text": ["same words", "other", "same words", "same words"]}
    )
    retriever = Dense(HASHING)
    retriever.index(corpus)
    run = retriever.search(["same words"], 3)
    assert run.docs.tolist() == [[3, 0, 2]]
    assert len(set(run.scores[0].tolist())) == 1
