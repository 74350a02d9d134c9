"""The table of measures of answers; contexts, citations, abstention and groundedness."""

from pathlib import Path

import numpy as np
import pytest

from bench.answers import ANSWER_MEASURES, answer_measure, grounded
from bench.answers.abstention import abstention
from qrels.errors import UsageError

PASSAGES = {"d1": "The cat sleeps. It dreams of mice.", "d2": "Dogs bark at night. Dogs bark."}


def values(name, found):
    return answer_measure(name).values(found).tolist()


@pytest.fixture
def hashing(monkeypatch, tmp_path):
    """An encoder that needs no model."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(grounded, "ENCODER", "hashing")


@pytest.mark.parametrize("text", ["f1", " F1 ", "F1"])
def test_a_measure_goes_by_its_name(text):
    """In upper or lower case; str gives the name in full."""
    assert str(answer_measure(text)) == "F1"


def test_an_unknown_measure_is_an_error():
    """With the closest name there is."""
    with pytest.raises(UsageError, match=r"unknown measure of answers 'Containmant'; did you mean"):
        answer_measure("Containmant")


def test_a_perfect_system_scores_one_on_every_measure_of_quality(answered, hashing):
    """Right answers that cite all and only the passages given, and silence where there is none."""
    pytest.importorskip("rouge_score")
    pytest.importorskip("sacrebleu")
    found = answered(
        ["Dogs bark at night.", ""],
        [["Dogs bark at night."], []],
        [0, 1],
        contexts=[{"d2": PASSAGES["d2"]}, {}],
        relevant=[{"d2"}, set()],
        citations=[["d2"], []],
    )
    expected = {"Abstained": [0, 1], "ContextPrecision": [1, 0], "ContextRecall": [1, 0]}
    for name in ANSWER_MEASURES:
        assert values(name, found) == pytest.approx(expected.get(name, [1, 1])), name


@pytest.mark.parametrize("name", ANSWER_MEASURES)
def test_every_measure_gives_a_value_from_0_to_1_a_question(name, answered, hashing):
    """Whatever the answers are; float64, and each question's own, not its neighbours'."""
    pytest.importorskip("rouge_score")
    pytest.importorskip("sacrebleu")
    texts = ["", "cat", "The cat sleeps.", "猫", "!", "dogs and the cat. Bark!"]
    rows = {
        "texts": texts,
        "golds": [["cat"], ["the cat"], [], ["猫"], ["cat", "!"], []],
        "unanswerable": [0, 0, 1, 0, 0, 0],
        "contexts": [PASSAGES, {}, PASSAGES, PASSAGES, PASSAGES, PASSAGES],
        "relevant": [{"d1"}, {"d1"}, set(), {"gone"}, {"d1", "d2"}, {"d1"}],
        "citations": [[], ["d1"], ["d2"], ["d1", "d2"], ["d1"], []],
    }
    found = answer_measure(name).values(answered(**rows))
    assert (found.dtype, found.shape) == (np.float64, (6,))
    assert ((found >= 0) & (found <= 1)).all()
    backwards = answered(**{key: column[::-1] for key, column in rows.items()})
    assert np.array_equal(answer_measure(name).values(backwards), found[::-1])
    empty = answered([], [], relevant=[])
    assert answer_measure(name).values(empty).shape == (0,)


CONTEXTS = {  # given, relevant: precision, recall
    "all": (["a"], {"a"}, 1, 1),
    "half": (["a", "b"], {"a", "c"}, 0.5, 0.5),
    "two-of-one-document": (["a", "a", "b"], {"a", "c"}, 2 / 3, 0.5),
    "none-given": ([], {"a"}, 0, 0),
    "none-relevant": (["a"], set(), 0, 0),
}


@pytest.mark.parametrize(
    ("given", "relevant", "precision", "recall"), CONTEXTS.values(), ids=CONTEXTS
)
def test_contexts(given, relevant, precision, recall, answered):
    """Precision is over passages, recall over documents; what is not there is 0, as with R@k."""
    from dataclasses import replace

    from generators.base import Passage

    found = answered(["x"], [["x"]], relevant=[relevant])
    found = replace(found, contexts=[[Passage(name, "") for name in given]])
    assert values("ContextPrecision", found) == pytest.approx([precision])
    assert values("ContextRecall", found) == pytest.approx([recall])


CITATIONS = {  # answer, cited, relevant: precision, recall
    "right": ("x", ["a"], {"a"}, 1, 1),
    "half": ("x", ["a", "b"], {"a", "c"}, 0.5, 0.5),
    "twice-counts-once": ("x", ["a", "a", "b"], {"a"}, 0.5, 1),
    "not-cited": ("x", [], {"a"}, 0, 0),
    "silent": ("", [], {"a"}, 0, 0),
    "rightly-silent": ("", [], set(), 1, 1),
    "answered-where-none-is-relevant": ("x", ["a"], set(), 0, 0),
    "not-cited-where-none-is-relevant": ("x", [], set(), 0, 1),
}


@pytest.mark.parametrize(("text", "cited", "relevant", "precision", "recall"), CITATIONS.values(),
                         ids=CITATIONS)  # fmt: skip
def test_citations(text, cited, relevant, precision, recall, answered):
    """Held against the qrels; silence is right where nothing is relevant, and only there."""
    found = answered([text], [["x"]], relevant=[relevant], citations=[cited])
    assert values("CitationPrecision", found) == pytest.approx([precision])
    assert values("CitationRecall", found) == pytest.approx([recall])


@pytest.mark.parametrize("name", [n for n, one in ANSWER_MEASURES.items() if one.needs == "qrels"])
def test_without_qrels_there_is_no_such_measure(name, answered):
    """That is said, and not 0."""
    with pytest.raises(UsageError, match="need qrels"):
        values(name, answered(["x"], [["x"]]))


def test_abstention_as_values_and_as_rates(answered):
    """Three abstentions, two of them on the four unanswerable questions."""
    texts = ["", "", "", "x", "x", "x", "x"]
    none = [1, 1, 0, 1, 1, 0, 0]
    found = answered(texts, [[] if one else ["x"] for one in none], none)
    assert values("Abstained", found) == [1, 1, 1, 0, 0, 0, 0]
    rightly = answer_measure("AbstainedRightly").values(found)
    assert rightly.tolist() == [1, 1, 0, 0, 0, 1, 1]
    rates = abstention(found)
    assert rates == (7, 4, 3, 2)
    assert (rates.precision, rates.recall) == (2 / 3, 0.5)
    assert rightly[found.unanswerable].mean() == rates.recall
    assert rightly[[not text for text in texts]].mean() == rates.precision


def test_rates_that_divide_by_nothing_are_none(answered):
    """No abstention has no precision, no unanswerable question no recall."""
    rates = abstention(answered(["x"], [["x"]]))
    assert (rates.precision, rates.recall) == (None, None)


GROUNDED = {  # answer, share of its words in PASSAGES
    "all": ("A cat dreams", 1),
    "half": ("cat barks", 0.5),
    "there-more-often": ("dogs sing", 0.5),
    "more-often-than-there": ("cat cat cat", 1 / 3),
    "across-passages": ("dogs, mice", 1),
    "nothing-said": ("", 1),
    "chinese": ("cat 猫犬", 1 / 3),
}


@pytest.mark.parametrize(("text", "share"), GROUNDED.values(), ids=GROUNDED)
def test_grounded_words(text, share, answered):
    """A word counts as often as the passages have it."""
    found = answered([text], [["x"]], contexts=[PASSAGES])
    assert values("GroundedWords", found) == pytest.approx([share])


def test_titles_ground_words(answered):
    """A passage's title is part of it."""
    from dataclasses import replace

    from generators.base import Passage

    found = answered(["Bengal cat"], [["x"]])
    found = replace(found, contexts=[[Passage("d", "A cat.", title="Bengal")]])
    assert values("GroundedWords", found) == [1.0]


def test_grounded_sentences(answered, hashing):
    """The share of sentences that are like one of the passages': one, none, or one of two."""
    texts = ["The cat sleeps.", "Ships sink.", "The cat sleeps. Ships sink.", "", "The cat sleeps."]
    found = answered(texts, [["x"]] * 5, contexts=[PASSAGES] * 4 + [{}])
    assert values("GroundedSentences", found) == [1.0, 0.0, 0.5, 1.0, 0.0]


def test_the_page_on_answers_lists_every_measure():
    """With what it needs and its line, as the table has them."""
    page = Path(__file__).parents[3] / "docs" / "answers.md"
    if not page.is_file():
        pytest.skip("only the checkout has docs/")
    rows = [
        line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    expected = [
        f"| `{name}` | {one.needs} | {one.summary} |" for name, one in ANSWER_MEASURES.items()
    ]
    assert rows == expected
