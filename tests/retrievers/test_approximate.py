"""Search settings that are found by the recall they give."""

from itertools import pairwise

import numpy as np
import pytest

from qrels.data import Column, Corpus, Filter, Run
from qrels.errors import UsageError
from retrievers.approximate import WORDS, Tried, cheapest, cut, ladder, recalls
from retrievers.faiss_index import Faiss

HASHING = "hashing?dimension=32"
REACHING = {  # parameters, and the setting's names
    "ivf": ({"factory": "IVF32,Flat"}, {"nprobe"}),
    "hnsw": ({"factory": "HNSW8"}, {"efSearch"}),
    "pq-refined": ({"factory": "PQ8x4fs,RFlat"}, {"k_factor_rf"}),
    "pretransform": ({"factory": "PCA30,IVF16,Flat", "recall": 0.7}, {"nprobe"}),
    "sq8": ({"factory": "sq8"}, set()),
    "kind-ivf": ({"factory": "ivf"}, {"nprobe"}),
    "kind-ivfpq": ({"factory": "ivfpq"}, {"nprobe", "k_factor_rf"}),
    "l2": ({"factory": "IVF32,Flat", "similarity": "l2"}, {"nprobe"}),
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def corpus():
    """1,500 texts in 30 clusters: of ten words of their cluster's twelve and three of any."""
    rng = np.random.default_rng(0)
    words = np.array([f"w{number:03}" for number in range(360)])
    texts = [
        " ".join([*rng.choice(words[12 * (n % 30) :][:12], 10), *rng.choice(words, 3)])
        for n in range(1500)
    ]
    numbers = Column("int", np.arange(1500.0))
    return Corpus([f"d{n:04}" for n in range(1500)], {"text": texts}, {"number": numbers})


def made(corpus, **params):
    retriever = Faiss(**{"encoder": HASHING, "recall": 0.95, **params})
    retriever.index(corpus)
    return retriever


def exact_of(retriever, corpus, queries, k):
    twin = retriever.exact()
    twin.index(corpus)
    return twin.search(queries, k)


@pytest.mark.parametrize(("params", "names"), REACHING.values(), ids=REACHING)
def test_the_setting_found_reaches_the_target(corpus, params, names):
    """For the very queries it was found with, recall@10 by exact search is what was asked for."""
    retriever = made(corpus, **params)
    queries = cut(corpus.joined(None), 0)
    found = recalls(retriever.search(queries, 10), exact_of(retriever, corpus, queries, 10), 10)
    assert found.mean() >= params.get("recall", 0.95)
    about = retriever.about()
    assert found.mean() == pytest.approx(about.pop("recall when built"))
    assert set(about) == {"factory", *names}


def test_the_setting_is_the_least_that_reaches_the_target(corpus):
    """One step less along the ladder finds less than was asked for; less is set for less."""
    retriever = made(corpus, factory="IVF32,Flat")
    nprobe = retriever.about()["nprobe"]
    assert 1 < nprobe < 32
    queries = cut(corpus.joined(None), 0)
    before = max(value for value in ladder(32) if value < nprobe)
    less = made(corpus, factory="IVF32,Flat", recall=None, search_params={"nprobe": before})
    exact = exact_of(retriever, corpus, queries, 10)
    assert recalls(less.search(queries, 10), exact, 10).mean() < 0.95
    assert made(corpus, factory="IVF32,Flat", recall=0.5).about()["nprobe"] < nprobe


def test_a_deeper_ranking_may_be_asked_for(corpus):
    """recall_at is the depth at which the share is taken."""
    retriever = made(corpus, factory="IVF32,Flat", recall_at=100)
    queries = cut(corpus.joined(None), 0)
    exact = exact_of(retriever, corpus, queries, 100)
    assert recalls(retriever.search(queries, 100), exact, 100).mean() >= 0.95


def test_the_same_seed_finds_the_same(corpus):
    """Nothing is timed: built twice, setting and recall are equal."""
    params = {"factory": "ivfpq", "seed": 3}
    assert made(corpus, **params).about() == made(corpus, **params).about()


def test_what_search_params_name_stays(corpus):
    """A parameter that is given is not searched for."""
    retriever = made(corpus, factory="ivfpq", search_params={"k_factor_rf": 32})
    assert retriever.about()["k_factor_rf"] == 32
    assert "k_factor_rf" not in retriever._tried.setting


def test_a_saved_index_keeps_its_setting(corpus, tmp_path):
    """Loaded, it says and finds the same."""
    built = made(corpus, factory="IVF32,Flat")
    built.save(tmp_path)
    loaded = Faiss(HASHING, "IVF32,Flat", recall=0.95)
    loaded.load(tmp_path, corpus)
    assert loaded.about() == built.about()
    queries = list(corpus.fields["text"][:40])
    for found, expected in zip(loaded.search(queries, 10), built.search(queries, 10), strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("factory", ["ivf", "ivfpq", "HNSW8", "sq8"])
def test_filters_hold_whatever_was_set(corpus, factory):
    """Only documents that meet the filter, the best of those that a whole search gives."""
    retriever = made(corpus, factory=factory)
    queries = cut(corpus.joined(None), 1)[:10]
    found = retriever.search(queries, 10, [Filter("number", "<", 100)]).docs
    whole = retriever.search(queries, 1500).docs
    for row in range(10):
        expected = [doc for doc in whole[row] if 0 <= doc < 100][:10]
        assert [doc for doc in found[row] if doc >= 0] == expected


def test_a_filter_changes_no_setting(corpus):
    """Unfiltered searches before and after a filtered one are equal."""
    retriever = made(corpus, factory="ivf")
    queries = cut(corpus.joined(None), 1)[:10]
    before = retriever.search(queries, 10)
    retriever.search(queries, 10, [Filter("number", "<", 100)])
    assert np.array_equal(before.docs, retriever.search(queries, 10).docs)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"factory": "PQ4x4"}, r"faiss 'PQ4x4', 10 documents a query: recall 0\.\d+ is the best"),
        ({"recall": 1.2}, r"recall 1.2 at 10; expected above 0, up to 1"),
        ({"recall": 0}, r"recall 0 at 10; expected above 0, up to 1"),
        ({"recall_at": 0}, r"recall 0.95 at 0; expected"),
    ],
    ids=["unreachable", "above-1", "zero", "no-depth"],
)
def test_what_cannot_be_reached_is_said(corpus, params, message):
    """One line with the best there is, or with what is allowed."""
    with pytest.raises(UsageError, match=message):
        made(corpus, **params)


CHEAPEST = {  # recall of (outer, inner), work of them; the setting expected
    "least-inner": ([1], lambda o, i: i / 10, lambda o, i: i, 0.65, (1, 7)),
    "exactly": ([1], lambda o, i: i / 10, lambda o, i: i, 0.7, (1, 7)),
    "first": ([1], lambda o, i: 1.0, lambda o, i: i, 0.9, (1, 1)),
    "last": ([1], lambda o, i: i / 10, lambda o, i: i, 1.0, (1, 10)),
    "outer-saves": ([1, 2], lambda o, i: o * i / 10, lambda o, i: o + 3 * i, 0.8, (2, 4)),
    "outer-costs": ([1, 2], lambda o, i: o * i / 10, lambda o, i: 99 * o + i, 0.8, (1, 8)),
    "outer-needed": ([1, 2], lambda o, i: o * i / 20, lambda o, i: 99 * o + i, 0.8, (2, 8)),
}


@pytest.mark.parametrize(
    ("outer", "recall", "work", "target", "expected"), CHEAPEST.values(), ids=CHEAPEST
)
def test_the_cheapest_that_is_enough(outer, recall, work, target, expected):
    """Worked by hand over an inner ladder of 1 to 10."""

    def attempt(setting):
        o, i = setting["outer"], setting["inner"]
        return Tried(setting, recall(o, i), work(o, i))

    found = cheapest({"outer": outer, "inner": range(1, 11)}, attempt, target)
    assert tuple(found.setting.values()) == expected


def test_nothing_to_set():
    """Without ladders the one attempt is enough, or is the best."""
    assert cheapest({}, lambda setting: Tried(setting, 0.9, 1.0), 0.9).setting == {}
    with pytest.raises(UsageError, match=r"recall 0\.9000 is the best .* asked for 0\.95"):
        cheapest({}, lambda setting: Tried(setting, 0.9, 1.0), 0.95)


@pytest.mark.parametrize("most", [0, 1, 2, 7, 100, 2048])
def test_a_ladder_climbs_to_its_top(most):
    """Ascending whole numbers from 1 to the most, never more than 15 % and 1 apart."""
    found = ladder(most)
    assert found[-1] == most
    assert found[0] == min(1, most)
    assert all(a < b <= 1.15 * a + 1 for a, b in pairwise(found))


def test_queries_are_cut_from_texts():
    """A run of words of each of the texts, at most WORDS; empty texts give none."""
    texts = [" ".join(f"t{n}w{w}" for w in range(n)) for n in range(60)]
    found = cut(texts, 0)
    assert len(found) == 59
    assert all(any(query in text for text in texts) for query in found)
    assert max(len(query.split()) for query in found) == WORDS
    assert found == cut(texts, 0) != cut(texts, 1)


def test_recall_is_the_share_of_the_exact():
    """By hand: order and what is found beyond the cutoff do not matter; nothing to find is 1."""
    found = Run(np.array([[3, 1, 2], [4, 5, -1], [-1, -1, -1], [7, -1, -1]]), np.zeros((4, 3)))
    exact = Run(np.array([[1, 2, 3], [5, 6, 4], [-1, -1, -1], [7, 8, -1]]), np.zeros((4, 3)))
    assert recalls(found, exact, 3).tolist() == [1.0, 2 / 3, 1.0, 0.5]
    assert recalls(found, exact, 1).tolist() == [0.0, 0.0, 1.0, 1.0]
