"""`bench ask`: passages, prompt, answer, and what it rests on."""

import pytest

from bench.ask import NOTHING, format_answer
from bench.cli import main
from generators.base import Answer, Passage

SYSTEM = "bm25+extractive?generator.encoder=hashing&generator.threshold=-1&context.passages=2"
PASSAGES = [Passage("d1", "One. Two.", "T", 1.5), Passage("d2", "Three \x1b[31m")]


def test_it_answers_from_a_suite(capsys):
    """Two passages with their scores, the answer, and the passage that it is from."""
    assert main(["ask", "Who painted the Mona Lisa?", "--suite", "qa", "--system", SYSTEM]) == 0
    out = capsys.readouterr().out
    assert out.startswith("[1] ")
    assert "[2] " in out
    assert "[3] " not in out
    assert out.strip().splitlines()[-1].startswith("from [")


def test_it_answers_from_a_text(capsys):
    """Nothing is searched."""
    words = ["ask", "Where is it?", "--suite", "qa", "--system", SYSTEM, "--context", "It is here."]
    assert main(words) == 0
    assert "It is here." in capsys.readouterr().out


def test_a_filter_does_not_go_with_a_text(capsys):
    """The one line says so."""
    words = ["ask", "x", "--suite", "qa", "--context", "y", "--filter", "topic=art"]
    assert main(words) == 2
    assert "--filter" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "prompt", "last"),
    [
        (Answer("yes", ("d2", "d1")), False, "from [2] d2, [1] d1"),
        (Answer("", abstained=True), False, NOTHING),
        (Answer("yes", prompt="P {x}"), True, "yes"),
        (Answer("yes"), True, "yes"),
    ],
)
def test_what_is_printed(said, prompt, last):
    """The last line is the answer or its sources; nothing drives the terminal."""
    text = format_answer("one", PASSAGES, said, prompt)
    assert text.splitlines()[-1] == last
    assert "\x1b" not in text
    assert ("P {x}" in text) == (said.prompt is not None)
