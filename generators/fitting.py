"""Prompts made to fit: passages cut until a limit of tokens holds, prompts put into batches."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from generators.base import Passage


class Prompt(NamedTuple):
    """What a model is given for a question: the whole text, and the passages left in it.

    ids: token ids, a list a text that the model reads; only fusion-in-decoder reads several.
    """

    text: str
    ids: list[list[int]]
    passages: list[Passage]

    @property
    def shape(self) -> tuple[int, int]:
        """How many texts, and the tokens of the longest."""
        return len(self.ids), max(map(len, self.ids))


def shortened(
    passages: Sequence[Passage],
    size: Callable[[Sequence[Passage]], int],
    limit: int,
    ends: Callable[[str], list[int]],
) -> list[Passage]:
    """The passages, cut from the end until their *size* is within *limit*; [] where nothing is.

    ends: where each token of a text ends, in characters.
    """
    kept = list(passages)
    while kept and (excess := size(kept) - limit) > 0:
        last = kept.pop()
        offsets = ends(last.text)
        if len(offsets) > excess:
            kept.append(replace(last, text=last.text[: offsets[-excess - 1]]))
    return kept


def batches(shapes: Sequence[tuple[int, int]], extra: int, limit: int) -> list[list[int]]:
    """Positions in groups, largest first, none of more than *limit* tokens, save singles.

    A group's tokens are those of its shapes, padded to the largest of each side, and *extra* a
    member.
    """
    groups: list[list[int]] = []
    count = longest = 0
    for row in sorted(range(len(shapes)), key=lambda row: shapes[row], reverse=True):
        longest = max(longest, shapes[row][1])
        if groups and (len(groups[-1]) + 1) * (count * longest + extra) <= limit:
            groups[-1].append(row)
        else:
            groups.append([row])
            count, longest = shapes[row]
    return groups
