"""The best sentence as the answer: which one, from which passage, and when none."""

import pickle

import numpy as np
import pytest

import encoders
import generators
from encoders.cache import cache_policy
from generators.base import Answer, Generator, Passage
from generators.extractive import Extractive
from qrels.errors import UsageError

RAIN = Passage("rain", "Rain falls in spring. Snow falls in winter.\n\nWind blows hard.", "Weather")
TEA = Passage("tea", "Tea grows on hills.  Tea is drunk hot!", "Drinks")
TWIN = Passage("twin", TEA.text, TEA.title)


def extractive(**params):
    return Extractive(**{"encoder": "hashing", "threshold": 0.1, **params})


@pytest.mark.parametrize(
    ("question", "passages", "answer"),
    [
        ("is tea drunk hot", [RAIN, TEA], Answer("Tea is drunk hot!", ("tea",))),
        ("when does snow fall in winter", [TEA, RAIN],
         Answer("Snow falls in winter.", ("rain",))),
        ("is tea drunk hot", [TWIN, TEA], Answer("Tea is drunk hot!", ("twin",))),
        ("zzz qqq", [RAIN, TEA], Answer("", abstained=True)),
        ("is tea drunk hot", [], Answer("", abstained=True)),
        ("is tea drunk hot", [Passage("e", " \n ", "Tea is drunk hot")],
         Answer("", abstained=True)),
    ],
    ids=["second", "other", "first-of-twins", "unlike", "no-passage", "no-sentence"],
)  # fmt: skip
def test_the_sentence_most_like_the_question_is_the_answer(question, passages, answer):
    """It cites its passage, the better one of two, and abstains where nothing is alike."""
    assert extractive().generate([question], [passages]) == [answer]


def test_it_abstains_below_the_threshold_alone():
    """A threshold at the best cosine answers, the next number above it does not."""
    encoder = encoders.load("hashing")
    (best,) = (
        encoder.encode(["Drinks: Tea is drunk hot!"], "passage")
        @ encoder.encode(["is tea drunk hot"], "query").T
    )
    at = extractive(threshold=float(best[0]) - 1e-6).generate(["is tea drunk hot"], [[TEA]])
    above = extractive(threshold=float(best[0]) + 1e-6).generate(["is tea drunk hot"], [[TEA]])
    assert (at[0].text, above[0].abstained) == ("Tea is drunk hot!", True)


def test_a_title_helps_a_sentence_and_is_no_part_of_the_answer():
    """With titles the passage on the subject wins, without them the first of equal sentences."""
    passages = [Passage("a", "It is long.", "Rhine"), Passage("b", "It is  long.", "Danube")]
    (with_titles,) = extractive().generate(["is the danube long"], [passages])
    (without,) = extractive(titles=False).generate(["is the danube long"], [passages])
    assert with_titles == Answer("It is  long.", ("b",))
    assert without.citations == ("a",)


def test_questions_are_answered_alike_together_and_alone():
    """A batch gives what one question at a time gives, in order."""
    questions = ["is tea drunk hot", "does wind blow", "zzz", "does snow fall"]
    contexts = [[TEA, RAIN], [RAIN], [TEA], [TEA, RAIN]]
    pairs = zip(questions, contexts, strict=True)
    alone = [extractive().generate([q], [passages])[0] for q, passages in pairs]
    assert extractive().generate(questions, contexts) == alone
    assert extractive().generate([], []) == []


def test_each_sentence_is_encoded_once():
    """However many questions share a passage, its sentences are encoded by one text each."""
    with cache_policy(enabled=False) as stats:
        extractive().generate(["is tea hot", "is tea cold"], [[TEA, RAIN], [RAIN, TWIN]])
    assert stats.texts == 2 + 5


def test_minilm_finds_the_sentence_by_what_it_means():
    """The default encoder needs no word in common, and abstains off the subject."""
    passages = [Passage("k", "Everest is in Nepal. It was first climbed in 1953.", "Everest")]
    questions = ["When did people first reach the summit?", "How do I bake sourdough bread?"]
    said = Extractive().generate(questions, [passages, passages])
    assert [answer.text for answer in said] == ["It was first climbed in 1953.", ""]
    assert said[1].abstained


def test_it_is_a_generator_of_the_registry():
    """Made by name, with parameters of a spec; it needs passages, so its floor is random ones."""
    made = generators.create("extractive?encoder=hashing&threshold=0.25")
    assert isinstance(made, Generator)
    assert vars(made) == {"encoder": "hashing", "threshold": 0.25, "titles": True}
    assert made.needs_passages


def test_it_travels_to_another_process_and_loads_ahead():
    """Pickled it answers the same; loading twice is loading once."""
    made = pickle.loads(pickle.dumps(extractive()))
    made.load()
    made.load()
    assert made.generate(["is tea drunk hot"], [[TEA]])[0].text == "Tea is drunk hot!"


def test_its_digest_says_what_decides_the_answers():
    """It changes with each parameter, and with nothing else; the record has it."""
    digests = [extractive(**changed).digest for changed in (
        {}, {"threshold": 0.2}, {"titles": False}, {"encoder": "hashing?seed=1"})]  # fmt: skip
    assert len(set(digests)) == 4
    assert extractive().digest == digests[0] == extractive().describe()["digest"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"threshold": 1.5}, "extractive: threshold is 1.5; expected -1 to 1"),
        ({"threshold": np.nan}, "extractive: threshold is nan; expected -1 to 1"),
        ({"threshold": "low"}, "extractive: threshold is 'low'; expected -1 to 1"),
        ({"titles": "no"}, "extractive: titles is 'no'; expected true or false"),
    ],
)
def test_a_wrong_parameter_is_told_in_a_line(params, message):
    """The name, the value and what is allowed."""
    with pytest.raises(UsageError) as caught:
        extractive(**params).generate(["q"], [[TEA]])
    assert str(caught.value) == message
