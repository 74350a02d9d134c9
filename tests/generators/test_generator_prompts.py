"""Templates filled, and replies cleaned, by cases worked by hand."""

import pytest

from generators import prompts
from generators.base import Passage
from qrels.errors import UsageError

PASSAGES = [Passage("a", "Oslo is {context} north.", "Towns"), Passage("b", "Rain {question}.")]
CONTEXT = "[1] Towns\nOslo is {context} north.\n\n[2] Rain {question}."


@pytest.mark.parametrize("name", prompts.TEMPLATES)
def test_every_template_holds_context_and_question_once(name):
    """Braces in passages and questions stay as they are written."""
    found = prompts.prompt("Why {x} {context}?", PASSAGES, name)
    assert found.count(CONTEXT) == 1
    assert found.count("Why {x} {context}?") == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cozyrag", "Q: q?\nContext: [1] t\nA:"),
        ("rag-from-scratch", "Context: [1] t\nQuery: q?\nResponse:"),
        ("plain", "[1] t\n\nq?\n"),
        ("<{question}|{context}>", "<q?|[1] t>"),
    ],
)
def test_templates_are_filled(name, expected):
    """A template by name, or a text of one's own, is filled with both."""
    assert prompts.prompt("q?", [Passage("a", "t")], name) == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{context}", "template is '{context}'; expected {context} and {question} in it"),
        ("{context}{question}{question}", "once each"),
        ("numpyrag", "unknown template 'numpyrag'; did you mean 'numpy-rag'?"),
    ],
    ids=["missing", "twice", "mistyped"],
)
def test_a_template_without_its_placeholders_is_refused(template, message):
    """One line says what the template is and what it needs."""
    with pytest.raises(UsageError) as error:
        prompts.template_text(template)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_messages_are_a_system_line_and_a_users_turn():
    """The system line is left out where it is empty."""
    found = prompts.messages("q?", [Passage("a", "t")])
    assert [turn["role"] for turn in found] == ["system", "user"]
    assert found[1]["content"] == "[1] t\n\nQuestion: q?"
    assert prompts.messages("q?", [], "plain", "") == [{"role": "user", "content": "\n\nq?\n"}]


@pytest.mark.parametrize(
    ("answer", "ids", "text"),
    [
        ("Oslo [1].", ("a",), "Oslo."),
        ("Oslo [2][1] and [2]", ("b", "a"), "Oslo and"),
        ("Oslo [1, 2]", ("a", "b"), "Oslo"),
        ("Oslo [3] [0]", (), "Oslo [3] [0]"),
        ("Oslo [1, 3]", ("a",), "Oslo [1, 3]"),
        ("x[i] = [1 2]", (), "x[i] = [1 2]"),
    ],
)
def test_markers_name_passages(answer, ids, text):
    """Ids come in the order of their markers, each once; a number without passage is no marker."""
    assert prompts.cited(answer, PASSAGES) == ids
    assert prompts.without_citations(answer, PASSAGES) == text


FIXED = "Use only the context to answer the question."
REPLIES = {  # reply, stop, what stays
    "space": (" Oslo", (), "Oslo"),
    "label": ("ANSWER: Oslo", (), "Oslo"),
    "next": ("Oslo\n\nQUESTION:\nWhat?\n\nANSWER: no", (), "Oslo"),
    "prompt": ("\nPROMPT Oslo", (), "Oslo"),
    "line": (f"Oslo\n {FIXED}\nso", (), "Oslo"),
    "line-and-more": (f"{FIXED} Oslo", (), f"{FIXED} Oslo"),
    "stop": ("Oslo.\n\nThen more", ["\n\n"], "Oslo."),
    "first-stop": ("Oslo###x;", [";", "###"], "Oslo"),
    "inside-a-line": ("The QUESTION: is", (), "The QUESTION: is"),
    "empty": ("", (), ""),
}


@pytest.mark.parametrize(("reply", "stop", "expected"), REPLIES.values(), ids=REPLIES)
def test_replies_lose_echoes(reply, stop, expected):
    """What stays is the answer itself."""
    assert prompts.clean(reply, "PROMPT", prompts.TEMPLATES["numpy-rag"], stop) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("I don't know.", True),
        ("i do not know", True),
        ("", True),
        ("Unanswerable. The passages are about rain.", True),
        ("I don't know much, but Oslo", False),
        ("No answers came from Oslo", False),
    ],
)
def test_an_abstention_says_nothing_else(answer, expected):
    """Only an answer whose first sentence is an abstention counts as one."""
    assert prompts.abstains(answer) is expected
