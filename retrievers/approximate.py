"""The cheapest search settings of an approximate index that find as much as is asked for.

How much is found is measured against exact search, with queries cut from the corpus' own texts:
the documents' vectors themselves would flatter an index that was built from them.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from qrels.data import Run
from qrels.errors import UsageError

QUERIES = 512
"""Queries that settings are tried with, at most one a document."""

WORDS = 8
"""Words of such a query."""

STEP = 1.15
"""Each value tried is larger than the one before by this factor, or by 1."""

Setting = dict[str, int]
Ladders = Mapping[str, Sequence[int]]  # by name the values to try, ascending


@dataclass(frozen=True)
class Tried:
    """A setting, the share of the exact ranking that it finds, and what a query costs by it."""

    setting: Setting
    recall: float
    work: float


def cheapest(ladders: Ladders, attempt: Callable[[Setting], Tried], target: float) -> Tried:
    """The setting of least work whose recall is at least *target*.

    The last ladder is bisected, for every combination of the others: along it recall must not
    fall. Where nothing is enough, a UsageError tells the best.
    """
    *others, last = [list(values) for values in ladders.values()] or [[0]]

    @cache
    def tried(*values: int) -> Tried:
        return attempt(dict(zip(ladders, values, strict=False)))

    enough, best = [], 0.0
    for values in product(*others):
        best = max(best, tried(*values, last[-1]).recall)
        at = bisect_left(last, True, key=lambda value: tried(*values, value).recall >= target)
        if at < len(last):
            enough.append(tried(*values, last[at]))
    if not enough:
        raise UsageError(
            f"recall {best:.4f} is the best that the index reaches; asked for {target}"
        )
    return min(enough, key=lambda found: found.work)


def ladder(most: int) -> list[int]:
    """1, 2, 3 and so on by STEP, up to *most*."""
    steps = math.ceil(math.log(max(most, 1), STEP))
    return sorted({min(math.ceil(STEP**step), most) for step in range(steps + 1)})


def cut(texts: Sequence[str], seed: int) -> list[str]:
    """Queries: a run of WORDS words of each of QUERIES texts drawn at random, empty ones left out.

    A question is as short, and as little of a document's own place; what people ask differs all
    the same, so a report measures recall again, with a suite's queries.
    """
    rng = np.random.default_rng(seed)
    found: list[str] = []
    for place in rng.permutation(len(texts)):
        words = texts[place].split()
        start = int(rng.integers(max(1, len(words) - WORDS + 1)))
        found += [" ".join(words[start : start + WORDS])] * bool(words)
        if len(found) == QUERIES:
            break
    return found


def recalls(found: Run, exact: Run, cutoff: int) -> NDArray[np.float64]:
    """By query the share of the exact ranking's first *cutoff* that is among those found.

    float64 (n_queries,); 1 where there are none. Copies of a text count as different documents.
    """
    pairs = zip(found.docs[:, :cutoff], exact.docs[:, :cutoff], strict=True)
    return np.array([np.isin(best[best >= 0], docs).mean() if best[0] >= 0 else 1.0
                     for docs, best in pairs])  # fmt: skip
