"""Rows into batches: shuffled by seed and epoch, alike in length, within a number of tokens."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from qrels.errors import UsageError

POOL = 50
"""Batches' worth of shuffled rows that are put in order of length, so that little is padding."""

Clash = Callable[[int, list[int]], bool]  # whether a row may not be in a batch with these


def epoch_batches(
    lengths: Sequence[int],
    rows: int,
    tokens: int,
    seed: int,
    epoch: int,
    clash: Clash = lambda row, batch: False,  # noqa: ARG005  the names say what they are
) -> list[list[int]]:
    """The batches of an epoch: every row once, the same for the same seed and epoch.

    lengths: tokens of each row; rows: how many a batch at most; tokens: a batch's rows times its
    longest, at most, 0 for no limit, and then rows of like length come together. A row that
    clashes with those before it waits for the next batch.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths)).tolist()
    if tokens:
        check_lengths(lengths, tokens)
        size = POOL * rows
        pools = [order[start : start + size] for start in range(0, len(order), size)]
        order = [row for pool in pools for row in sorted(pool, key=lengths.__getitem__)]
    batches = list(_packed(order, lengths, rows, tokens, clash))
    return [batches[place] for place in generator.permutation(len(batches))]


def check_lengths(lengths: Sequence[int], tokens: int) -> None:
    """UsageError where a row alone is more than a batch may be."""
    if max(lengths, default=0) > tokens:
        raise UsageError(
            f"batch_tokens = {tokens}; the longest row has {max(lengths)} tokens: give more, or "
            "a smaller max_length"
        )


def _packed(
    order: Sequence[int], lengths: Sequence[int], rows: int, tokens: int, clash: Clash
) -> Iterator[list[int]]:
    """Batches filled in order; what clashes is put off, and comes first in the next."""
    waiting = deque(order)
    while waiting:
        batch: list[int] = []
        put_off: list[int] = []
        longest = 0
        while waiting and len(batch) < rows:
            longest = max(longest, lengths[waiting[0]])
            if tokens and longest * (len(batch) + 1) > tokens:
                break
            row = waiting.popleft()
            (put_off if clash(row, batch) else batch).append(row)
        waiting.extendleft(reversed(put_off))
        yield batch
