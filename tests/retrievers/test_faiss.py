"""FAISS indexes, checked against exact search."""

import functools

import numpy as np
import pytest

from qrels.data import Column, Corpus, Filter
from qrels.errors import DataError, UsageError
from retrievers.dense import Dense
from retrievers.faiss_index import Faiss

HASHING = "hashing?dimension=32"
APPROXIMATE = {  # parameters, and the share of the ten best that must be found
    "IVF": ({"factory": "IVF8,Flat", "nprobe": 4}, 0.7),
    "IVF-all": ({"factory": "IVF8,Flat", "nprobe": 8}, 0.99),
    "HNSW": ({"factory": "HNSW16", "ef": 200}, 0.9),
    "PQ": ({"factory": "PQ16x4"}, 0.4),
    "SQ": ({"factory": "SQ8"}, 0.9),
    "IVF-PQ": ({"factory": "IVF4,PQ16x4", "nprobe": 4}, 0.4),
    "OPQ": ({"factory": "OPQ8,PQ8x4"}, 0.3),
    "refined": ({"factory": "PQ16x4,RFlat", "refine": 8}, 0.9),
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def corpus():
    """600 short random texts with a number, some of them copies."""
    rng = np.random.default_rng(0)
    words = [f"word{number}" for number in range(80)]
    texts = [" ".join(rng.choice(words, 6)) for _ in range(600)]
    texts[50:60] = [texts[50]] * 10
    numbers = Column("int", np.arange(600.0))
    return Corpus([f"d{number}" for number in range(600)], {"text": texts}, {"number": numbers})


@pytest.fixture(scope="module")
def queries(corpus):
    return [" ".join(text.split()[:3]) for text in corpus.fields["text"][40:80]]


@pytest.fixture(scope="module")
def indexed(corpus):
    """indexed(**parameters) over the corpus, each built once: PQ takes a second to train."""

    @functools.cache
    def build(factory="Flat", similarity="cosine", nprobe=None, ef=None, refine=None):
        named = {"nprobe": nprobe, "efSearch": ef, "k_factor_rf": refine}
        given = {name: value for name, value in named.items() if value}
        return made(corpus, factory=factory, similarity=similarity, search_params=given)

    return build


def made(corpus, **params):
    retriever = Faiss(**{"encoder": HASHING, **params})
    retriever.index(corpus)
    return retriever


def exact(corpus, similarity="cosine"):
    retriever = Dense(HASHING, similarity)
    retriever.index(corpus)
    return retriever


@pytest.mark.parametrize("similarity", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("k", [1, 10, 600, 700])
def test_flat_is_dense(corpus, queries, indexed, similarity, k):
    """Scores to 1e-5, and documents equal but for swaps among scores that close."""
    found = indexed(similarity=similarity).search(queries, k)
    expected = exact(corpus, similarity).search(queries, k)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    for row in np.flatnonzero((found.docs != expected.docs).any(axis=1)):
        right = dict(zip(expected.docs[row].tolist(), expected.scores[row].tolist(), strict=True))
        for doc, score in zip(found.docs[row].tolist(), found.scores[row].tolist(), strict=True):
            assert score == pytest.approx(right.get(doc, expected.scores[row, -1]), abs=1e-5)


@pytest.mark.parametrize(("params", "share"), APPROXIMATE.values(), ids=APPROXIMATE)
@pytest.mark.parametrize("similarity", ["cosine", "l2"])
def test_an_approximate_index_finds_most(corpus, queries, indexed, params, share, similarity):
    """The share of the exact ten best that is found is what the kind of index promises."""
    found = indexed(similarity=similarity, **params).search(queries, 10)
    best = exact(corpus, similarity).search(queries, 10)
    hits = [len(set(a) & set(b)) for a, b in zip(found.docs, best.docs, strict=True)]
    assert np.mean(hits) / 10 >= share


def test_searching_more_lists_finds_more(corpus, queries, indexed):
    """nprobe reaches the index."""
    best = exact(corpus).search(queries, 10).docs
    shares = []
    for nprobe in (1, 8):
        docs = indexed(factory="IVF8,Flat", nprobe=nprobe).search(queries, 10).docs
        shares.append(np.mean([len(set(a) & set(b)) for a, b in zip(docs, best, strict=True)]))
    assert shares[0] < 9.5 < shares[1]


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat", "HNSW16", "SQ8", "PQ16x4", "OPQ8,PQ8x4"])
@pytest.mark.parametrize("limit", [0, 5, 300])
def test_filters_are_exact_over_what_the_index_finds(queries, indexed, factory, limit):
    """The best that meet the filter, as many as there are, never another."""
    retriever = indexed(factory=factory, nprobe=8 if "IVF" in factory else None)
    found = retriever.search(queries, 10, [Filter("number", "<", limit)])
    whole = retriever.search(queries, 600)
    for row in range(len(queries)):
        expected = [doc for doc in whole.docs[row] if 0 <= doc < limit][:10]
        scores = dict(zip(whole.docs[row].tolist(), whole.scores[row].tolist(), strict=True))
        docs = [doc for doc in found.docs[row].tolist() if doc >= 0]
        assert len(docs) == len(expected)
        assert [scores[d] for d in docs] == pytest.approx([scores[d] for d in expected], abs=1e-5)


@pytest.mark.parametrize("factory", ["Flat", "HNSW16", "PQ16x4", "SQ8"])
def test_ties_across_the_cut_follow_the_one_rule(corpus, indexed, factory):
    """Ten copies of a text: the k best of them are those with the largest ids."""
    retriever = indexed(factory=factory, ef=200 if "HNSW" in factory else None)
    query = [corpus.fields["text"][50]]
    copies = sorted(range(50, 60), key=lambda doc: corpus.doc_ids[doc], reverse=True)
    whole = retriever.search(query, 40).docs[0].tolist()
    assert [doc for doc in whole if 50 <= doc < 60] == copies
    for k in (1, 3, 9):
        assert retriever.search(query, k).docs[0].tolist() == whole[:k]


def test_more_ties_than_were_fetched(corpus):
    """Where hundreds of copies tie, the fetch grows until the tie is whole."""
    many = Corpus([f"{n:03}" for n in range(300)], {"text": ["the same"] * 299 + ["another"]})
    run = made(many).search(["the same"], 3)
    assert run.docs.tolist() == [[298, 297, 296]]


def test_the_training_sample_is_seeded(corpus, queries):
    """The same seed gives the same index; training on a sample works."""
    runs = [
        made(corpus, factory="IVF4,Flat", training=200, seed=seed).search(queries, 10)
        for seed in (1, 1)
    ]
    assert np.array_equal(runs[0].docs, runs[1].docs)


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat", "HNSW16", "PQ4x4"])
def test_a_saved_index_is_the_same_index(corpus, queries, factory, tmp_path):
    """Rankings, search parameters included, are the same after save and load."""
    params = {"nprobe": 3} if "IVF" in factory else None
    built = made(corpus, factory=factory, search_params=params)
    built.save(tmp_path)
    loaded = Faiss(HASHING, factory, search_params=params)
    loaded.load(tmp_path, corpus)
    for found, expected in zip(loaded.search(queries, 10), built.search(queries, 10), strict=True):
        assert np.array_equal(found, expected)
    with pytest.raises(DataError, match="built with"):
        Faiss(HASHING, "LSH").load(tmp_path, corpus)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"factory": "Falt"}, "faiss cannot build 'Falt' over 600 vectors of 32: could not parse"),
        ({"factory": "IVF1000,Flat"}, "faiss cannot build 'IVF1000,Flat' .* at least as large"),
        ({"factory": "PQ5"}, "faiss cannot build 'PQ5'"),
        ({"search_params": {"nprobe": 3}}, "no search parameter 'nprobe' that takes 3"),
        ({"similarity": "l3"}, "unknown similarity 'l3'; allowed: cosine, dot, l2"),
    ],
    ids=["factory", "too-few", "dimension", "search", "similarity"],
)
def test_mistakes_are_usage_errors(corpus, params, message):
    """What FAISS refuses is one line that names the value."""
    with pytest.raises(UsageError, match=message):
        made(corpus, **params)
