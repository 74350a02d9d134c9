"""A text cut into sentences, by a few rules for Western and CJK punctuation."""

import re

GAP = re.compile(
    r"""[.!?…]["'”’»)\]]{0,4}(?:\[\d{1,4}\]){0,4}\s+  # the last mark, what it closes, notes
      | [。！？]["'」』”’）]{0,4}\s*
      | \n\s*""",
    re.VERBOSE,
)
"""Where a sentence may end: a match's end is where the next one would begin."""

WORD_BEFORE = re.compile(r"[^\s\"'“”‘’«(\[]{1,30}$")
WORD_AFTER = re.compile(r"[\"'“‘«(\[¿¡–—-]{0,4}(\w{1,30})")
LIST_MARK = re.compile(r"[-*•#]|\d{1,3}[.)]\s")
NUMBER = re.compile(r"[(\[]?\d{1,3}$")
INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]$")

NEVER = {
    "capt", "cf", "col", "dr", "e.g", "fr", "gen", "gov", "hon", "i.e", "lt", "messrs", "mr",
    "mrs", "ms", "mt", "prof", "rep", "rev", "sen", "sgt", "st", "viz", "vs",
}  # fmt: skip
"""Abbreviations that no sentence ends with."""

SELDOM = {
    "al", "approx", "bros", "ca", "co", "corp", "dept", "ed", "eds", "esq", "est", "etc", "ft",
    "inc", "jr", "ltd", "ph.d", "sr", "univ",
}  # fmt: skip
"""Those that end one only before a word of OPENERS; so do initials: J. for a name, U.S."""

NUMBERED = {
    "approx", "apr", "art", "aug", "c", "ca", "ch", "chap", "dec", "eq", "feb", "fig", "figs",
    "jan", "jul", "jun", "mar", "no", "nos", "nov", "oct", "p", "par", "pp", "sec", "sep",
    "sept", "vol", "vols",
}  # fmt: skip
"""Those that end none before a digit."""

OPENERS = {
    "A", "After", "Although", "An", "And", "As", "At", "But", "By", "For", "From", "He",
    "However", "If", "In", "It", "Its", "On", "She", "Since", "The", "Their", "There", "These",
    "They", "This", "Those", "Though", "To", "Today", "We", "When", "While", "With", "You",
}  # fmt: skip


def sentences(text: str) -> list[str]:
    """The sentences of *text*, each with the white space behind it: joined they are the text.

    A sentence ends at . ! ? … before white space, closing quotes, brackets and notes like [1]
    included, unless the next word begins in lower case or an abbreviation, an initial or a list's
    number stands before it; at 。！？; at a blank line; and at a line break that does not go on in
    lower case or with a figure, as in H, line break, 2O. [] for "".
    """
    found, start, first = [], 0, len(text) - len(text.lstrip())
    for gap in GAP.finditer(text):
        inside = max(start, first) < gap.start() and gap.end() < len(text)
        if inside and _ends(text, start, gap):
            found.append(text[start : gap.end()])
            start = gap.end()
    return [*found, text[start:]] if start < len(text) else found


def _ends(text: str, start: int, gap: re.Match[str]) -> bool:
    """Whether the sentence that begins at *start* ends at *gap*."""
    mark, space = gap[0][0], gap[0]
    if mark in "。！？" or space.count("\n") > 1:
        return True
    if "\n" in space and LIST_MARK.match(text, gap.end()):
        return True
    after = WORD_AFTER.match(text, gap.end())
    if after and (after[1][0].islower() or (mark == "\n" and after[1][0].isdigit())):
        return False
    if "\n" in space or mark != ".":
        return True
    if space[1:].rstrip():  # a closing quote or a note behind the full stop
        return True
    before = text[max(start, gap.start() - 40) : gap.start()]
    return not _abbreviated(before, after[1] if after else "")


def _abbreviated(before: str, after: str) -> bool:
    """Whether the full stop behind *before* belongs to its last word; *after*: the next word."""
    found = WORD_BEFORE.search(before)
    word = found[0] if found else ""
    if NUMBER.match(word) and before.strip() == word:
        return True
    key = word.lower()
    if key in NEVER or (key in NUMBERED and after[:1].isdigit()):
        return True
    if word == "I" or not (key in SELDOM or INITIALS.match(word)):
        return False
    return after not in OPENERS
