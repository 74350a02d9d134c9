"""Where gold answers stand in passages, and which passages a reader learns from."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.answering import passage
from bench.answers.text import normalised
from generators.base import Passage
from generators.spans import Window
from qrels.answers import gold_answers, unanswerable
from qrels.data import Suite
from qrels.errors import DataError
from training.data.squad import PARAGRAPH, STARTS
from training.mining import relevant_documents

Places = list[tuple[int, int]]  # where answers begin and end in a passage, in characters


class Example(NamedTuple):
    """A question, a passage, and where its answers stand there: nowhere for the null span."""

    question: str
    passage: Passage
    places: Places


def passages_of(suite: Suite, ranked: Callable[[], NDArray[np.int32]]) -> list[list[int]]:
    """The positions of the passages that each question is read with.

    Its relevant ones; without any, the paragraph that it was asked about, or else the first of a
    ranking. ranked: int32 (n_queries, depth), asked for where it is needed.
    """
    known = suite.corpus.positions
    found = []
    for row, docs in enumerate(relevant_documents(suite)):
        asked = known.get(str(suite.queries.metadata[row].get(PARAGRAPH)))
        chosen = sorted(docs) or ([asked] if asked is not None else ranked()[row, :1].tolist())
        found.append([doc for doc in chosen if doc >= 0])
    return found


def examples(
    suite: Suite, contexts: Sequence[Sequence[int]], say: Callable[[str], None]
) -> list[Example]:
    """Each question with each of its passages in which an answer stands, or must not.

    A question of which no answer is known, or none stands in its passage, is left out aloud.
    DataError where that leaves nothing.
    """
    found, silent, absent = [], 0, 0
    rows = zip(gold_answers(suite.queries), unanswerable(suite.queries).tolist(), strict=True)
    for row, (golds, none) in enumerate(rows):
        read = [passage(suite.corpus, doc, 0.0) for doc in contexts[row]]
        text, about = suite.queries.texts[row], suite.queries.metadata[row]
        if none:
            found += [Example(text, one, []) for one in read]
            continue
        placed = [(one, answer_places(one.text, golds, about)) for one in read]
        found += [Example(text, one, places) for one, places in placed if places]
        silent += not golds
        absent += bool(golds) and not any(places for _, places in placed)
    if not found:
        raise DataError(f"{suite.name} ({suite.split}): no question has an answer in its passage")
    for count, what in ((silent, "no answer"), (absent, "no answer that stands in their passage")):
        if count:
            say(f"{count:,} of {len(contexts):,} questions have {what} and are left out")
    return found


def answer_places(text: str, golds: Sequence[str], about: Mapping[str, Any]) -> Places:
    """Where the *golds* stand in *text*, each place once.

    Where the question's metadata says where they begin, there; else wherever whole words spell
    one of them, or if none do any characters.
    """
    golds = [gold.strip() for gold in golds]
    starts = about.get(STARTS) or []
    told = [
        (start, start + len(gold))
        for start, gold in zip(starts, golds, strict=False)
        if gold and text.startswith(gold, start)
    ]
    whole = [
        spot for gold in golds if gold for spot in spots(rf"(?<!\w){re.escape(gold)}(?!\w)", text)
    ]
    loose = [spot for gold in golds if gold for spot in spots(re.escape(gold), text)]
    return list(dict.fromkeys(told or whole or loose))


def spots(pattern: str, text: str) -> Places:
    return [match.span() for match in re.finditer(pattern, text)]


def holds(text: str, golds: Sequence[str]) -> bool:
    """Whether one of the *golds* stands in *text*, as the measures of answers read both."""
    words = f" {normalised(text)} "
    return any(f" {normalised(gold)} " in words for gold in golds)


def target(window: Window, places: Places) -> Places:
    """The tokens at which the answers in a window begin and end; the null span's where none is."""
    starts, ends = window.places.T
    found = []
    for start, end in places:
        if starts[0] <= start and end <= ends[-1]:
            first = int(np.searchsorted(ends, start, "right"))
            last = int(np.searchsorted(starts, end, "left")) - 1
            if first <= last:
                found.append((window.first + first, window.first + last))
    return list(dict.fromkeys(found)) or [(0, 0)]
