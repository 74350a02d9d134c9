"""The frame around the benchmarks: turns, ratios, verdicts, the page, the planted corpus."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def frame():
    """frame(name) imports benchmarks/NAME.py of the checkout, which no wheel holds."""
    with pytest.MonkeyPatch.context() as patch:
        package = ModuleType("benchmarks")
        package.__path__ = [str(ROOT / "benchmarks")]
        patch.setitem(sys.modules, "benchmarks", package)
        yield lambda name: importlib.import_module(f"benchmarks.{name}")
        for name in [name for name in sys.modules if name.startswith("benchmarks.")]:
            patch.delitem(sys.modules, name)


def test_sides_take_turns_in_another_order_each_round(frame):
    """One untimed call each, then rounds that start with another side every time."""
    called = []
    ticks = iter(range(0, 10**12, 10**9))
    found = frame("common").by_turns(
        {name: lambda name=name: called.append(name) for name in "abc"}, 3, lambda: next(ticks)
    )
    assert "".join(called) == "abc" + "abc" + "bca" + "cab"
    assert found == {"a": [1.0] * 3, "b": [1.0] * 3, "c": [1.0] * 3}


def test_a_ratio_is_of_the_same_round(frame):
    """What slowed a whole round down falls out; units are counted."""
    common, ratios = frame("common"), frame("ratios")
    ours = common.Timing("w", "ours", (1.0, 10.0, 100.0), units=2)
    peer = common.Timing("w", "peer", (3.0, 30.0, 300.0), units=1)
    assert ratios.ratio(ours, peer) == (6.0, 6.0, 6.0)


@pytest.mark.parametrize(
    ("peer", "met", "collapsed"),
    [((4.0,), True, False), ((2.0,), True, False), ((1.9,), False, False), ((0.9,), False, True)],
)
def test_a_mark_is_met_from_its_promise_on_and_collapses_below_half(frame, peer, met, collapsed):
    """Promised twice as fast: 2 is met, 1.9 not, .9 is a collapse."""
    common, ratios = frame("common"), frame("ratios")
    result = common.Result(
        (common.Timing("w", "ours", (1.0,)), common.Timing("w", "peer", peer)),
        (common.Mark("w", "ours", "peer", 2.0), common.Mark("w", "ours", "absent", 2.0)),
    )
    first, second = ratios.verdicts(result)
    assert (first.met, first.collapsed) == (met, collapsed)
    assert (second.met, second.collapsed) == (None, False)


def test_results_that_differ_end_the_benchmark(frame):
    """Nothing is timed unless both sides answer the same."""
    check = frame("common").check_equal
    check("same", [1.0, 2.0], [1.0, 2.0 + 1e-9], rtol=1e-6)
    with pytest.raises(SystemExit, match=r"ids: at \(1,\) ours is 2, theirs 3"):
        check("ids", [1, 2], [1, 3])
    with pytest.raises(SystemExit, match="shapes"):
        check("ids", [1, 2], [1])


def test_the_page_says_what_is_not_met_and_survives_json(frame, tmp_path):
    """A result goes to JSON and back; the page names ratio, promise and verdict."""
    common, page = frame("common"), frame("page")
    result = common.Result(
        (
            common.Timing("w <b>", "ours", (1.0, 1.0), units=10, x=10),
            common.Timing("w <b>", "peer", (1.5, 1.5), units=10, x=10),
        ),
        (common.Mark("w <b>", "ours", "peer", 2.0),),
        (common.Fact("bytes a posting", 8, "B"),),
        ("a note",),
        common.Plot("n", "queries/s"),
    )
    title, again = page.from_json(page.to_json("T", result))
    assert (title, again) == ("T", result)
    text = page.page({"one": (title, again)}, tmp_path)
    assert "**not met**" in text
    assert "w &lt;b&gt;" in text
    assert "<b>" not in text
    assert (tmp_path / "performance" / "one.svg").exists()


def test_planted_documents_hold_both_sentences(frame, shared, monkeypatch):
    """Each query's documents hold its pair of sentences, and the text can be made from the plan."""
    corpus = frame("corpus")
    plan = corpus.plan(400, 60, seed=3)
    texts = list(corpus.texts(plan))
    every = corpus.sentences()
    planted = 0
    for pair, answers in zip(plan.pairs, plan.answers, strict=True):
        for doc in answers[answers >= 0]:
            planted += 1
            assert all(every[number] in texts[doc] for number in pair)
    assert planted > 60
    again = corpus.plan(400, 60, seed=3)
    assert np.array_equal(again.sentences, plan.sentences)


def test_token_ids_are_those_of_the_texts(frame, shared):
    """The short way from sentences to tokens gives the terms of the texts."""
    from retrievers.tokenise import Analysis

    corpus = frame("corpus")
    tokens, n_terms, _ = corpus.token_ids(50, 5)
    texts = list(corpus.texts(corpus.plan(50, 5)))
    known, _ = corpus._sentence_tokens()
    expected = Analysis().encode(texts, known)
    assert n_terms == len(known)
    assert np.array_equal(tokens.indptr, expected.indptr)
    assert np.array_equal(tokens.terms, expected.terms)
