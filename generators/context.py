"""Which passages a generator sees: the best, or their best sentences, within a budget."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from generators.base import Passage
from generators.sentences import sentences
from generators.similarity import similarities, titled
from qrels.errors import UsageError, unknown
from retrievers.registry import Params

Count = Callable[[str], int]  # tokens of a text

ORDERS: Mapping[str, Callable[[list[Passage]], list[Passage]]] = {
    "rank": lambda passages: passages,
    "reversed": lambda passages: passages[::-1],
}
"""Best passage first, or last: next to the question in prompts that end with it."""


def words(text: str) -> int:
    """How many pieces of *text* white space separates."""
    return len(text.split())


@dataclass(frozen=True)
class Context:
    """What is taken of each ranking, in this order.

    passages: how many, best first; a text that a better one has, but for case and white space,
    is passed over, and so is an empty one. sentences, threshold: of these passages the so many
    sentences most similar to the question, those with at least this cosine, or both; they stay
    in document order within their passage, one said twice is taken once, and a passage without
    any is left out. budget: tokens that titles and texts together may take; the passage that
    goes beyond it loses its last sentences, and if its first is too long, the words at the end
    of that, where there is no other passage; those after it are left out. order: a name of ORDERS.
    encoder: a spec of `encoders.load`, for the sentences.
    """

    passages: int = 5
    sentences: int | None = None
    threshold: float | None = None
    budget: int | None = None
    order: str = "rank"
    encoder: str = "minilm"

    def check(self) -> None:
        """UsageError for a parameter out of range."""
        for name in ("passages", "sentences", "budget"):
            value = getattr(self, name)
            if (value is not None or name == "passages") and not _is_count(value):
                raise UsageError(f"context: {name} is {value!r}; expected a whole number from 1")
        if self.threshold is not None and not _is_cosine(self.threshold):
            raise UsageError(f"context: threshold is {self.threshold!r}; expected -1 to 1")
        if not isinstance(self.encoder, str):
            raise UsageError(f"context: encoder is {self.encoder!r}; expected a name")
        if str(self.order) not in ORDERS:
            raise unknown("order of a context", str(self.order), ORDERS)

    def select(
        self,
        questions: Sequence[str],
        contexts: Sequence[Sequence[Passage]],
        count: Count = words,
    ) -> list[list[Passage]]:
        """The passages for each question, with the ids of those they are of.

        contexts: the ranking of each, best first. count: tokens of a text, by the generator's
        tokenizer say. Each sentence is encoded once, whatever the questions share.
        """
        self.check()
        chosen = [distinct(passages)[: self.passages] for passages in contexts]
        if self.sentences is not None or self.threshold is not None:
            chosen = self._filtered(questions, chosen)
        if self.budget is not None:
            chosen = [within(passages, self.budget, count) for passages in chosen]
        return [ORDERS[self.order](passages) for passages in chosen]

    def _filtered(
        self, questions: Sequence[str], contexts: Sequence[Sequence[Passage]]
    ) -> list[list[Passage]]:
        """The passages with those sentences alone that are similar enough to the question."""
        split = [_sentences(passages) for passages in contexts]
        groups = [[titled(passages[n], s) for n, s in said]
                  for passages, said in zip(contexts, split, strict=True)]  # fmt: skip
        found = []
        for row, cosines in enumerate(similarities(self.encoder, questions, groups)):
            best = np.argsort(-cosines, kind="stable")[: self.sentences]
            low = -np.inf if self.threshold is None else self.threshold
            kept = sorted(place for place in best.tolist() if cosines[place] >= low)
            found.append(_rejoined(contexts[row], [split[row][place] for place in kept]))
        return found


def create(params: Params) -> Context:
    """The context of these parameters, checked; UsageError for an unknown one."""
    names = [field.name for field in fields(Context)]
    for key in params:
        if key not in names:
            raise unknown("parameter of a context", key, names)
    made = Context(**params)
    made.check()
    return made


def distinct(passages: Sequence[Passage]) -> list[Passage]:
    """The passages without empty ones, and of those with equal texts the first alone."""
    found: dict[str, Passage] = {}
    for passage in passages:
        if key := _key(passage.text) or _key(passage.title):
            found.setdefault(key, passage)
    return list(found.values())


def within(passages: Sequence[Passage], budget: int, count: Count) -> list[Passage]:
    """The first passages, the last of them cut, whose titles and texts take *budget* tokens."""
    kept: list[Passage] = []
    left = budget
    for passage in passages:
        size = count(passage.title) + count(passage.text)
        if size <= left:
            kept.append(passage)
            left -= size
            continue
        room = left - count(passage.title)
        text = _longest(sentences(passage.text), room, count)
        if not text and not kept:
            text = _longest(_words(passage.text), room, count)
        return [*kept, replace(passage, text=text)] if text else kept
    return kept


def _longest(parts: Sequence[str], room: int, count: Count) -> str:
    """As many of the first *parts* as take *room* tokens, joined; "" where none fits."""
    low, high = 0, len(parts)
    while low < high:
        middle = (low + high + 1) // 2
        fits = count("".join(parts[:middle]).rstrip()) <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    return "".join(parts[:low]).rstrip()


def _words(text: str) -> list[str]:
    """The words of *text*, each with the white space before it."""
    return re.findall(r"\s*\S+", text)


def _sentences(passages: Sequence[Passage]) -> list[tuple[int, str]]:
    """The sentences of all passages with the number of their own; one said twice, once."""
    found: dict[str, tuple[int, str]] = {}
    for number, passage in enumerate(passages):
        for sentence in sentences(passage.text):
            if key := _key(sentence):
                found.setdefault(key, (number, sentence))
    return list(found.values())


def _rejoined(passages: Sequence[Passage], kept: Sequence[tuple[int, str]]) -> list[Passage]:
    """The passages that have a sentence among *kept*, with these alone as text."""
    texts: dict[int, str] = {}
    for number, sentence in kept:
        texts[number] = texts.get(number, "") + sentence
    return [replace(passages[number], text=text.strip()) for number, text in texts.items()]


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_cosine(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1 <= value <= 1
