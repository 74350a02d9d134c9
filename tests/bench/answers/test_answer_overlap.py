"""Words of answers, and EM, F1 and containment as SQuAD's evaluation defines them."""

import pytest

from bench.answers import answer_measure
from bench.answers.text import normalised, units

NORMALISED = {
    "case": ("Eiffel TOWER", "eiffel tower"),
    "articles": ("The tower of a town, an hour", "tower of town hour"),
    "articles-inside-words": ("theatre banana android", "theatre banana android"),
    "punctuation-before-articles": ("a. the-end (the)", "theend"),
    "punctuation-joins": ("don't U.S. 1,000", "dont us 1000"),
    "white-space": ("  two\n\twords ", "two words"),
    "other-punctuation-stays": ("“so” – he", "“so” – he"),
    "nothing-left": ("The ... an!", ""),
    "articles-side-by-side": ("a a the an x", "x"),
    "accents": ("Él, ÀÉ", "él àé"),
}

OVERLAP = {  # answer, gold answers, unanswerable: EM, F1, containment
    "same": ("Paris", ["Paris"], False, 1, 1, 1),
    "normalised": ("the PARIS!", ["Paris"], False, 1, 1, 1),
    "none": ("London", ["Paris"], False, 0, 0, 0),
    "part": ("in Paris", ["Paris"], False, 0, 2 / 3, 1),
    "too-short": ("Eiffel", ["Eiffel Tower"], False, 0, 2 / 3, 0),
    "best-of-several": ("Eiffel Tower", ["Paris", "Eiffel Tower of Paris", "tower"], False,
                        0, 2 / 3, 1),
    "counts-as-often-as-both": ("x x x", ["x x y"], False, 0, 2 / 3, 0),
    "order-is-nothing-to-f1": ("b c", ["c b"], False, 0, 1, 0),
    "not-next-to-each-other": ("York is New", ["New York"], False, 0, 0.8, 0),
    "whole-words": ("Parisian", ["Paris"], False, 0, 0, 0),
    "article-between": ("king of the hill", ["king of hill"], False, 1, 1, 1),
    "gold-longer-word": ("19", ["1914", "9"], False, 0, 0, 0),
    "chinese-inside": ("最深的湖是贝加尔湖。", ["贝加尔湖"], False, 0, 0, 1),
    "chinese-apart": ("贝加湖尔", ["贝加尔湖"], False, 0, 0, 0),
    "silent": ("", ["Paris"], False, 0, 0, 0),
    "silent-by-articles": ("the", ["Paris"], False, 0, 0, 0),
    "unanswerable-silent": ("", [], True, 1, 1, 1),
    "unanswerable-nothing-left": ("The...", [], True, 1, 1, 1),
    "unanswerable-answered": ("Paris", [], True, 0, 0, 0),
    "unanswerable-with-gold": ("Paris", ["Paris"], True, 0, 0, 0),
    "gold-of-nothing-silent": ("", ["the", "!"], False, 1, 1, 1),
    "gold-of-nothing-answered": ("x", ["the"], False, 0, 0, 0),
    "gold-of-nothing-left-out": ("x", ["the", "x"], False, 1, 1, 1),
    "unknown": ("Paris", [], False, 0, 0, 0),
    "unknown-silent": ("", [], False, 0, 0, 0),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), NORMALISED.values(), ids=NORMALISED)
def test_normalising(text, expected):
    """Lower case, then no punctuation, then no articles, then single spaces."""
    assert normalised(text) == expected


def test_characters_of_texts_without_spaces_are_words():
    """Kana and Chinese characters stand alone, words beside them stay whole."""
    assert units("K2は山 Everest") == ["k2", "は", "山", "everest"]


@pytest.mark.parametrize("case", OVERLAP.values(), ids=OVERLAP)
def test_em_f1_and_containment(case, answered):
    """The cases worked by hand hold."""
    text, golds, unanswerable, *expected = case
    found = answered([text], [golds], [unanswerable])
    values = [answer_measure(name).values(found) for name in ("EM", "F1", "Containment")]
    assert [float(value[0]) for value in values] == pytest.approx(expected)


def test_an_abstention_is_silent_whatever_else_it_says(answered):
    """What abstained counts as no answer."""
    found = answered(["Paris"], [["Paris"]], abstained=[True])
    assert answer_measure("EM").values(found).tolist() == [0.0]


def test_em_and_f1_are_those_of_torchmetrics(answered):
    """Another implementation of SQuAD's evaluation gives the same on texts of all kinds."""
    squad = pytest.importorskip("torchmetrics.functional.text").squad
    pool = ["", "The Cat", "the cat sat", "cat, sat!", "a", "CAT", "sat on the mat", "U.S.", "us"]
    pairs = [(said, [gold, other]) for said in pool for gold in pool for other in pool]
    pairs = [(said, golds) for said, golds in pairs if all(map(normalised, golds))]
    found = answered([said for said, _ in pairs], [golds for _, golds in pairs])
    em, f1 = (answer_measure(name).values(found) for name in ("EM", "F1"))
    for row, (said, golds) in enumerate(pairs):
        preds = [{"prediction_text": said, "id": "q"}]
        target = [{"answers": {"answer_start": [0, 0], "text": golds}, "id": "q"}]
        theirs = squad(preds, target)
        ours = {"exact_match": 100 * em[row], "f1": 100 * f1[row]}
        assert {key: float(value) for key, value in theirs.items()} == pytest.approx(ours), said
