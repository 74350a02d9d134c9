"""What a generator sees of a ranking: filtered, once each, within its budget."""

import numpy as np
import pytest

import encoders
from generators.base import Passage
from generators.context import Context, create, distinct, within, words
from generators.similarity import similarities
from qrels.errors import UsageError

HASHING = {"encoder": "hashing"}
RAIN = Passage("rain", "Rain falls in spring. Snow falls in winter. Wind blows.", "Weather", 3.0)
TEA = Passage("tea", "Tea grows on hills. Snow falls in winter. Tea is drunk hot.", "", 2.0)
COPY = Passage("copy", "rain falls  in spring.\nSnow falls in winter. Wind blows.", "Other", 1.0)
EMPTY = Passage("empty", " \n", "", 0.5)
ONLY_TITLE = Passage("title", "", "Weather", 0.4)


def texts(passages):
    return [(passage.doc_id, passage.text) for passage in passages]


@pytest.mark.parametrize(
    ("context", "ids"),
    [
        (Context(), ["rain", "tea", "title"]),
        (Context(passages=2), ["rain", "tea"]),
        (Context(passages=1), ["rain"]),
        (Context(order="reversed"), ["title", "tea", "rain"]),
    ],
    ids=["all", "two", "one", "reversed"],
)
def test_the_best_passages_are_taken_once_each(context, ids):
    """A text twice, but for case and space, is taken once, and an empty passage never."""
    (found,) = context.select(["q"], [[RAIN, COPY, EMPTY, TEA, ONLY_TITLE]])
    assert [passage.doc_id for passage in found] == ids


def test_without_filter_and_budget_passages_stay_as_they_are():
    """Title, text and score are those of the ranking."""
    assert Context().select(["a", "b"], [[RAIN, TEA], []]) == [[RAIN, TEA], []]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"sentences": 1}, [("tea", "Tea is drunk hot.")]),
        ({"sentences": 2}, [("tea", "Tea grows on hills. Tea is drunk hot.")]),
        ({"sentences": 99}, [
            ("rain", "Rain falls in spring. Snow falls in winter. Wind blows."),
            ("tea", "Tea grows on hills. Tea is drunk hot."),
        ]),
        ({"threshold": 0.99}, []),
        ({"threshold": -1.0, "sentences": 1}, [("tea", "Tea is drunk hot.")]),
    ],
    ids=["best", "two-in-document-order", "all-once-each", "none", "both"],
)  # fmt: skip
def test_the_sentences_most_like_the_question_are_kept(params, expected):
    """They keep their document's id and order; a passage without any is left out."""
    context = Context(**params, **HASHING)
    (found,) = context.select(["Is tea drunk hot or cold?"], [[RAIN, TEA]])
    assert texts(found) == expected


def test_a_threshold_keeps_the_sentences_at_or_above_it():
    """What is kept is what the cosines, computed here once more, say."""
    said = ["Weather: Rain falls in spring.", "Weather: Snow falls in winter.",
            "Weather: Wind blows."]  # fmt: skip
    encoder = encoders.load("hashing")
    cosines = encoder.encode(said, "passage") @ encoder.encode(["When does snow fall?"], "query")[0]
    threshold = float(np.sort(cosines)[1]) - 1e-6
    context = Context(threshold=threshold, **HASHING)
    (found,) = context.select(["When does snow fall?"], [[RAIN]])
    kept = [text[9:] for text, cosine in zip(said, cosines, strict=True) if cosine >= threshold]
    assert texts(found) == [("rain", " ".join(kept))]
    assert len(kept) == 2


def test_questions_are_filtered_alike_together_and_alone():
    """A batch gives what one question at a time gives."""
    context = Context(sentences=2, budget=12, **HASHING)
    questions, rankings = ["Is tea hot?", "Does snow fall?"], [[RAIN, TEA], [TEA, RAIN]]
    together = context.select(questions, rankings)
    alone = [
        context.select([q], [passages])[0] for q, passages in zip(questions, rankings, strict=True)
    ]
    assert together == alone


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (23, [("rain", RAIN.text), ("tea", TEA.text)]),
        (22, [("rain", RAIN.text), ("tea", "Tea grows on hills. Snow falls in winter.")]),
        (15, [("rain", RAIN.text), ("tea", "Tea grows on hills.")]),
        (14, [("rain", RAIN.text)]),
        (11, [("rain", RAIN.text)]),
        (10, [("rain", "Rain falls in spring. Snow falls in winter.")]),
        (5, [("rain", "Rain falls in spring.")]),
        (4, [("rain", "Rain falls in")]),
        (1, []),
    ],
    ids=["all", "two-sentences", "one-sentence", "no-half", "first", "cut", "shorter", "words",
         "title-alone"],
)  # fmt: skip
def test_a_budget_cuts_at_sentence_ends(budget, expected):
    """Titles count; only the first passage is ever cut within a sentence."""
    cut = within([RAIN, Passage("tea", TEA.text)], budget, words)
    assert texts(cut) == expected
    assert sum(words(passage.title) + words(passage.text) for passage in cut) <= budget


def test_a_budget_counts_by_the_tokenizer_given():
    """With characters for tokens the same text keeps as many."""
    (found,) = Context(budget=30).select(["q"], [[Passage("a", RAIN.text)]], count=len)
    assert texts(found) == [("a", "Rain falls in spring.")]


def test_nothing_follows_a_passage_that_was_cut():
    """A worse passage never takes the room that a better one had no use for."""
    small = Passage("small", "Hi.")
    assert texts(within([RAIN, TEA, small], 12, words)) == [("rain", RAIN.text)]


def test_distinct_keeps_the_first_of_equal_texts():
    """Its id is the better passage's."""
    assert distinct([COPY, RAIN]) == [COPY]


def test_a_vector_of_zeros_is_like_nothing():
    """A question without words has cosine 0 with every sentence, not NaN."""
    (found,) = similarities("hashing", ["?!"], [["Rain falls.", "..."]])
    assert found.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"passages": 0}, "context: passages is 0; expected a whole number from 1"),
        ({"passages": None}, "context: passages is None; expected a whole number from 1"),
        ({"passages": True}, "context: passages is True; expected a whole number from 1"),
        ({"sentences": 1.5}, "context: sentences is 1.5; expected a whole number from 1"),
        ({"budget": "9"}, "context: budget is '9'; expected a whole number from 1"),
        ({"threshold": 2}, "context: threshold is 2; expected -1 to 1"),
        ({"threshold": float("nan")}, "context: threshold is nan; expected -1 to 1"),
        ({"encoder": 7}, "context: encoder is 7; expected a name"),
        ({"order": "rnak"}, "unknown order of a context 'rnak'; did you mean 'rank'?"),
        ({"order": ["rank"]}, "unknown order of a context \"['rank']\"; did you mean 'rank'?"),
        ({"passage": 3}, "unknown parameter of a context 'passage'; did you mean 'passages'?"),
    ],
)
def test_a_wrong_parameter_is_told_in_a_line(params, message):
    """The name, the value and what is allowed."""
    with pytest.raises(UsageError) as caught:
        create(params)
    assert str(caught.value) == message


def test_parameters_make_a_context():
    """Those not given have their defaults."""
    assert create({"passages": 3, "sentences": 2}) == Context(passages=3, sentences=2)
