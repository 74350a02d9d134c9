"""MaxSim, by hand and against a plain loop."""

import numpy as np
import pytest

import encoders
from qrels.data import Corpus
from qrels.errors import UsageError
from rerankers.late_interaction import LateInteraction, Tokens, max_sim, packed

ROOT = np.float32(np.sqrt(0.5))
EAST, NORTH, WEST, BETWEEN = np.array([[1, 0], [0, 1], [-1, 0], [ROOT, ROOT]], np.float32)
DOCUMENTS = {  # token vectors, and the best cosine of EAST and of NORTH
    "both": ([EAST, NORTH], 1, 1),
    "one": ([EAST], 1, 0),
    "nothing": ([], -1, -1),
    "opposite": ([WEST], -1, 0),
    "between": ([WEST, BETWEEN, WEST], ROOT, ROOT),
}


def tokens_of(documents):
    return packed([[np.reshape(found, (-1, 2)).astype(np.float32) for found in documents]], "f4")


def test_the_best_cosine_of_each_query_token():
    """A query token takes its nearest document token; a document without tokens gives -1."""
    tokens = tokens_of([vectors for vectors, _, _ in DOCUMENTS.values()])
    assert tokens.offsets.tolist() == [0, 2, 3, 3, 4, 7]
    best = max_sim(np.stack([EAST, NORTH]), tokens, np.arange(5))
    expected = np.array([[east, north] for _, east, north in DOCUMENTS.values()]).T
    np.testing.assert_allclose(best, expected, atol=1e-7)


def test_documents_are_taken_in_any_order_and_number():
    """Blocks of documents do not show in the result, which is a plain loop's."""
    rng = np.random.default_rng(0)
    documents = [rng.normal(size=(rng.integers(0, 6), 2)).astype(np.float32) for _ in range(40)]
    query = rng.normal(size=(3, 2)).astype(np.float32)
    places = rng.permutation(40)[:33]
    expected = [(query @ documents[at].T).max(axis=1, initial=-np.inf) for at in places]
    expected = np.where(np.isinf(expected), -1, expected).T
    np.testing.assert_allclose(max_sim(query, tokens_of(documents), places), expected, atol=1e-6)


def test_blocks_are_put_one_after_the_other():
    """Several blocks of documents make the array that one would."""
    vectors = [np.full((n, 2), n, np.float32) for n in (2, 0, 3, 1)]
    whole, parts = packed([vectors], np.float16), packed([vectors[:1], vectors[1:]], np.float16)
    assert whole.vectors.dtype == np.float16
    assert np.array_equal(whole.vectors, parts.vectors)
    assert whole.offsets.tolist() == parts.offsets.tolist() == [0, 2, 2, 5, 6]


CORPUS = Corpus(
    ["a", "b", "c", "d"],
    {"title": ["", "red", "", ""], "text": ["blue fish", "blue whale", "", "red fish red fish"]},
)
HASHED = "hashing?dimension=4096"


@pytest.mark.parametrize("prepared", [False, True], ids=["on-the-fly", "prepared"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_words_found_count_one_each(prepared, dtype, first_stage):
    """With a vector a word, a query word that a document holds adds 1, whatever its place."""
    reranker = LateInteraction(HASHED, dtype=dtype)
    if prepared:
        reranker.prepare(CORPUS)
    docs, scores = reranker.rerank(["red fish", ""], first_stage([0, 1, 2, 3], [0, 2]), CORPUS, 4)
    assert docs[0, 0] == 3
    assert scores[0, 0] == pytest.approx(2, abs=2e-3)
    assert set(docs[0, 1:3].tolist()) == {0, 1}
    assert scores[0, 1:3] == pytest.approx([1, 1], abs=0.2)
    assert (docs[0, 3], scores[0, 3]) == (2, -2)
    assert docs[1].tolist() == [2, 0, -1, -1]
    assert scores[1, :2].tolist() == [0, 0]


def test_scores_are_the_encoders_cosines_added(first_stage):
    """The score is the sum of the largest products of the encoder's own token vectors."""
    found = encoders.load(HASHED)
    query, document = (
        found.encode_tokens([text], side)[0]
        for text, side in (("red fish", "query"), ("red blue whale", "passage"))
    )
    expected = (query @ document.T).max(axis=1).sum()
    for combine, share in (("sum", 1), ("mean", 0.5)):
        reranker = LateInteraction(HASHED, combine=combine)
        scores = reranker.rerank(["red fish"], first_stage([1]), CORPUS, 1).scores
        assert scores[0, 0] == pytest.approx(expected * share, rel=1e-6)


def test_fields_decide_what_is_read(first_stage):
    """Words of a field that is left out are not found."""
    run = first_stage([0, 1])
    assert LateInteraction(HASHED).rerank(["red"], run, CORPUS, 2).docs[0, 0] == 1
    scores = LateInteraction(HASHED, fields=["title"]).rerank(["blue"], run, CORPUS, 2).scores
    assert scores[0, 1] == -1


def test_small_batches_change_nothing(corpus_of, first_stage, words):
    """Queries taken two at a time are ranked as all at once."""
    corpus, run = corpus_of(), first_stage(*np.arange(25).reshape(5, 5))
    queries = words[:5]
    whole = LateInteraction("hashing").rerank(queries, run, corpus, 5)
    parts = LateInteraction("hashing", batch_size=2).rerank(queries, run, corpus, 5)
    assert np.array_equal(whole.docs, parts.docs)
    assert np.array_equal(whole.scores, parts.scores)


REFUSED = {
    "dtype": ({"dtype": "int8"}, "unknown dtype 'int8'"),
    "combine": ({"combine": "some"}, "unknown combine 'some'; allowed: mean, sum"),
    "batch-size": ({"batch_size": 0}, "batch_size is 0"),
    "field": ({"fields": ["titel"]}, "unknown field 'titel'; did you mean 'title'"),
}


@pytest.mark.parametrize(("parameters", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_parameters_are_named(parameters, message, first_stage):
    """A parameter that is not allowed is a UsageError with what is."""
    with pytest.raises(UsageError, match=message):
        LateInteraction("hashing", **parameters).rerank(["x"], first_stage([0]), CORPUS, 1)


def test_an_encoder_without_token_vectors_is_refused(monkeypatch, first_stage):
    """Encoders that give one vector a text cannot be used."""

    class Plain:
        digest, dimension = "plain", 2

    monkeypatch.setattr(encoders, "load", lambda spec: encoders.CachedEncoder(Plain()))
    with pytest.raises(UsageError, match="encoder 'plain' gives no token vectors"):
        LateInteraction("plain").rerank(["x"], first_stage([0]), CORPUS, 1)


def test_tokens_are_kept_as_one_half_precision_array(corpus_of):
    """What is prepared is float16 vectors and int64 offsets, a document after the other."""
    corpus, reranker = corpus_of(), LateInteraction("hashing")
    reranker.prepare(corpus)
    assert isinstance(reranker._tokens, Tokens)
    vectors, offsets = reranker._tokens
    assert (vectors.dtype, offsets.dtype) == (np.float16, np.int64)
    assert np.diff(offsets).tolist() == [len(text.split()) for text in corpus.joined()]
