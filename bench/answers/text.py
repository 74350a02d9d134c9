"""Answers as words, in the way of SQuAD's evaluation."""

import re
import string

ARTICLE = re.compile(r"\b(?:a|an|the)\b")
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)

UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")
"""Kana and Chinese characters, which are written without white space between words."""


def normalised(text: str) -> str:
    """*text* in lower case without ASCII punctuation, English articles and spare white space.

    In that order, so that "a." goes too. Source: Rajpurkar et al. 2016, arXiv 1606.05250.
    """
    bare = text.lower().translate(NO_PUNCTUATION)
    return " ".join(ARTICLE.sub(" ", bare).split())


def words(text: str) -> list[str]:
    """What white space separates in the normalised text."""
    return normalised(text).split()


def units(text: str) -> list[str]:
    """The words, each kana or Chinese character being one of its own."""
    return UNSPACED.sub(r" \1 ", normalised(text)).split()
