"""Texts cut into sentences, by cases worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.sentences import sentences

CASES = {  # | stands where a sentence ends
    "empty": "",
    "no-mark": "no mark at all",
    "two": "It rains. |It pours.",
    "marks": "Does it rain? |It does! |It rains … |And so on.",
    "dots": "Well... |We waited.",
    "lower-case-goes-on": "Yahoo! announced it. |The end... and more.",
    "titles": "Dr. Smith met Mr. Jones and Prof. Xi in St. Petersburg. |They left.",
    "initials": "J. R. R. Tolkien wrote it. |John F. Kennedy did not.",
    "initialism-inside": "He joined the U.S. Army in 1940. |She did not.",
    "initialism-at-the-end": "He lives in the U.S. |The others do not.",
    "the-word-i": "So did I. |Then we left.",
    "company-inside": "Apple Inc. Chairman Jobs spoke.",
    "company-at-the-end": "He founded Apple Inc. |It grew.",
    "latin": "Fruit, e.g. Granny Smith apples, i.e. Malus, etc. are sold. |We eat.",
    "decimals": "It is 3.5 m long, 1,000.25 wide. |It costs $4.20.",
    "numbers": "See Fig. 2 and No. 5, pp. 3 and 4. |The answer is no. |It rains.",
    "months": "On Jan. 5 it rained. |On Feb. 6 it did not.",
    "list-number": "1. First do this. |2. Then that.",
    "quotes": 'He said "no." |She said “yes.” |‘Why?’ |(So it was.) |[Or not.]',
    "question-quoted": '"Who is it?" he asked. |"I," she said.',
    "quote-opens": 'It rains. |"So it does," he said.',
    "notes": "It rains.[1][23] |It pours.[4]",
    "no-space": "See example.org/a.b.c and version 1.2.3.",
    "digit-begins": "It rained. |1945 was dry.",
    "blank-line": "a heading\n\n|text that goes on",
    "line-capital": "A heading\n|The text.",
    "line-wrapped": "a line that is\nwrapped here. |Next.",
    "formula": "water is H\n2O and ice too. |Steam.",
    "items": "Needs:\n|- one\n|- two\n|* three\n|1) four\n|2. five",
    "cjk": "東京は首都です。|人口は多い！|「はい。」|次は？",
    "cyrillic": "Идёт дождь. |Он идёт.",
    "accents": "Il pleut. |Évidemment. |¿Qué? |¡No!",
    "leading-space": "  It rains.  |It pours.  ",
    "only-space": "   ",
    "only-dots": "...",
    "crlf": "One.\r\n|Two.",
}


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_sentences_end_where_a_reader_would_end_them(text):
    """Marks, quotes, abbreviations, decimals, initials, lists and line breaks."""
    assert sentences(text.replace("|", "")) == [part for part in text.split("|") if part]


@given(st.text(alphabet="aA1.!?…。\n\r \t\"'()[]“”Ü-*,|Dr", max_size=60))
def test_no_character_is_lost(text):
    """Joined, the sentences are the text, and none of them is empty."""
    found = sentences(text)
    assert "".join(found) == text
    assert all(found)


@pytest.mark.parametrize("piece", ["J. ", "a. ", "A. ", "\n ", ". ", "。", "1. ", '."', " "])
def test_long_runs_of_marks_are_cut_too(piece):
    """A book of nothing but marks loses nothing."""
    text = piece * (300_000 // len(piece))
    assert "".join(sentences(text)) == text
