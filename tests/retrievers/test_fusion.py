"""Fusion, worked by hand over retrievers whose rankings the test writes down."""

import sys
from types import ModuleType

import numpy as np
import pytest

from qrels.data import Column, Corpus, Filter, Run
from qrels.errors import PluginError, UsageError
from retrievers.fusion import Hybrid

N_DOCS = 6


class Listed:
    """Returns the documents with a score above 0, the same for every query; cannot filter."""

    scores = ()
    closed = 0

    def index(self, corpus):
        self.size = len(corpus)

    def search(self, queries, k):
        values = np.array(self.scores, np.float32)
        order = np.argsort(-values, kind="stable")[: (values > 0).sum()][:k]
        docs = np.full((len(queries), k), -1, np.int32)
        found = np.full((len(queries), k), -np.inf, np.float32)
        docs[:, : len(order)], found[:, : len(order)] = order, values[order]
        return Run(docs, found)

    def close(self):
        type(self).closed += 1


class Filtering(Listed):
    """Filters by itself, on the document's number below the operand."""

    def search(self, queries, k, where=()):
        whole = super().search(queries, N_DOCS)
        limit = min([condition.operand for condition in where], default=N_DOCS)
        kept = (whole.docs[0] >= 0) & (whole.docs[0] < limit)
        docs = np.full((len(queries), k), -1, np.int32)
        found = np.full((len(queries), k), -np.inf, np.float32)
        size = min(k, kept.sum())
        docs[:, :size], found[:, :size] = whole.docs[0][kept][:size], whole.scores[0][kept][:size]
        return Run(docs, found)


@pytest.fixture
def corpus():
    number = Column("int", np.arange(N_DOCS, dtype=float))
    return Corpus(list("abcdef"), {"text": [""] * N_DOCS}, {"number": number})


@pytest.fixture
def listed(monkeypatch):
    """listed(scores, ...) gives the specs of retrievers with these scores."""
    module = ModuleType("written_down")
    monkeypatch.setitem(sys.modules, "written_down", module)

    def make(*lists, base=Listed):
        for number, scores in enumerate(lists):
            setattr(module, f"R{number}", type(f"R{number}", (base,), {"scores": scores}))
        return [f"written_down:R{number}" for number in range(len(lists))]

    return make


def fuse(corpus, specs, k=N_DOCS, where=(), **params):
    """Documents with their fused scores, best first."""
    hybrid = Hybrid(specs, **params)
    hybrid.index(corpus)
    run = hybrid.search(["one", "two"], k, where)
    assert np.array_equal(run.docs[0], run.docs[1])
    found = run.docs[0] >= 0
    return {
        "abcdef"[doc]: float(score)
        for doc, score in zip(run.docs[0][found], run.scores[0][found], strict=True)
    }


# scores of the documents a to f in two lists; 0 is not in the list
FIRST, SECOND = [8, 4, 2, 0, 0, 0], [0, 1, 0, 5, 3, 0]
DEVIATION = {"first": np.std([8, 4, 2]), "second": np.std([1, 5, 3])}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            {},
            {"b": 1 / 62 + 1 / 63, "d": 1 / 61, "a": 1 / 61, "e": 1 / 62, "c": 1 / 63},
        ),
        (
            {"rrf_k": 0, "weights": [2, 1]},
            {"a": 2.0, "b": 1 + 1 / 3, "d": 1.0, "c": 2 / 3, "e": 0.5},
        ),
        (
            {"method": "minmax"},
            {"d": 1.0, "a": 1.0, "e": 0.5, "b": 1 / 3, "c": 0.0},
        ),
        (
            {"method": "minmax", "weights": [1, 0.5]},
            {"a": 1.0, "d": 0.5, "b": 1 / 3, "e": 0.25, "c": 0.0},
        ),
        (
            {"method": "zscore"},
            {
                "a": (8 - 14 / 3) / DEVIATION["first"] - 2 / DEVIATION["second"],
                "d": (2 - 14 / 3) / DEVIATION["first"] + 2 / DEVIATION["second"],
                "e": (2 - 14 / 3) / DEVIATION["first"],
                "b": (4 - 14 / 3) / DEVIATION["first"] - 2 / DEVIATION["second"],
                "c": (2 - 14 / 3) / DEVIATION["first"] - 2 / DEVIATION["second"],
            },
        ),
        ({"depth": 1}, {"d": 1 / 61, "a": 1 / 61}),
    ],
    ids=["rrf", "rrf-weighted", "minmax", "minmax-weighted", "zscore", "depth"],
)
def test_fusion_by_hand(corpus, listed, params, expected):
    """Scores and order, equal scores by doc_id down."""
    found = fuse(corpus, listed(FIRST, SECOND), **params)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert list(found) == sorted(expected, key=lambda i: (round(expected[i], 6), i), reverse=True)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("rrf", {"b": 1 / 61, "a": 1 / 61}),
        ("minmax", {"b": 1.0, "a": 1.0}),
        ("zscore", {"b": 0.0, "a": 0.0}),
    ],
)
def test_equal_scores_stay_equal(corpus, listed, method, expected):
    """Documents that a list scores alike share a rank; a list of equal scores has no spread."""
    specs = listed([0.1, 0.1, 0, 0, 0, 0], [0] * N_DOCS)
    assert fuse(corpus, specs, method=method) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("method", ["rrf", "minmax", "zscore"])
def test_fewer_results_are_the_beginning_of_more(corpus, listed, method):
    """k is a cut and nothing else."""
    specs = listed(FIRST, SECOND)
    whole = list(fuse(corpus, specs, method=method, depth=2).items())
    for k in range(1, 9):
        assert list(fuse(corpus, specs, k, method=method, depth=2).items()) == whole[:k]


@pytest.mark.parametrize("base", [Listed, Filtering])
def test_filters_hold_before_the_lists_are_made(corpus, listed, base):
    """Ranks are among the documents that meet the filter, whoever applies it."""
    specs = listed([8, 4, 2, 0, 0, 9], [0, 1, 0, 5, 3, 0], base=base)
    found = fuse(corpus, specs, where=[Filter("number", "<", 4)], depth=2)
    assert found == pytest.approx({"b": 2 / 62, "d": 1 / 61, "a": 1 / 61}, rel=1e-6)
    assert list(found) == ["b", "d", "a"]


def test_nothing_found_is_padding(corpus, listed):
    """Empty lists fuse to an empty ranking by every method."""
    for method in ("rrf", "minmax", "zscore"):
        assert fuse(corpus, listed([0] * N_DOCS, [0] * N_DOCS), method=method) == {}


def test_a_plug_in_that_breaks_the_protocol_is_named(corpus, listed):
    """What a retriever returns is checked before it is fused."""
    with pytest.raises(PluginError, match=r"written_down:R0\.search returned score inf"):
        fuse(corpus, listed([np.inf, 1, 0, 0, 0, 0]))


def test_a_retriever_that_saves_nothing_is_built_again(corpus, listed, tmp_path):
    """Others load from their folders."""
    specs = [*listed(FIRST), "dense?encoder=hashing"]
    built, loaded = Hybrid(specs), Hybrid(specs)
    built.index(corpus)
    built.save(tmp_path)
    loaded.load(tmp_path, corpus)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    for found, expected in zip(loaded.search(["x"], 6), built.search(["x"], 6), strict=True):
        assert np.array_equal(found, expected)


def test_one_that_was_refused_can_be_closed(corpus):
    """Closing after wrong parameters says nothing, so that their message is what is seen."""
    hybrid = Hybrid(retrievers=["bm25", "lsa"], weights=[1.0])
    with pytest.raises(UsageError, match="weights is"):
        hybrid.index(corpus)
    hybrid.close()


def test_closing_closes_the_parts(corpus, listed):
    """Those that hold something are told."""
    hybrid = Hybrid(listed(FIRST, SECOND))
    hybrid.index(corpus)
    hybrid.close()
    assert [type(part).closed for part in hybrid._parts] == [1, 1]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"method": "rff"}, "unknown fusion method 'rff'; did you mean 'rrf'"),
        ({"retrievers": ["bm52"]}, "unknown retriever 'bm52'; did you mean 'bm25'"),
        ({"retrievers": "bm25"}, "retrievers is 'bm25'; expected a list of names"),
        ({"retrievers": []}, "expected a list of names"),
        ({"retrievers": ["dense?simliarity=dot"]}, "did you mean 'similarity'"),
        ({"weights": [1]}, r"weights is \[1\]; expected 2 numbers"),
        ({"weights": [1, -1]}, "expected 2 numbers of 0 or more"),
        ({"weights": [0, 0]}, "not all 0"),
        ({"depth": 0}, "depth is 0"),
        ({"rrf_k": -1}, "rrf_k -1"),
    ],
)
def test_mistakes_are_usage_errors(corpus, params, message):
    """Each names the value and what is allowed."""
    with pytest.raises(UsageError, match=message):
        Hybrid(**params).index(corpus)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
