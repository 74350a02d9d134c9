"""Three faults of an answer as numbers from 0 to 1, from its tokens or from their probabilities.

repeats: the share of its n-grams that stood in it before
keywords: the share of the keywords that it does not say
short: the share of the least length that it lacks

`counted` takes them from tokens. An argmax has no gradient, so a loss that adds these learns as if
it did not. `expected` takes what they are on average where each token is drawn from its softmax,
independent of the others, up to the one that ends the answer; that can be learnt from, and is
`counted` where the softmax is one-hot. For keywords and short it is the exact average. For repeats
it is the number of repeats one expects over the number of n-grams one expects, and equalities
of different n-grams are taken as independent of each other.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

NAMES = ("repeats", "keywords", "short")

TINY = 1e-6
"""Below this chance that an answer goes on, what comes after it does not count."""

Penalties = dict[str, Tensor]  # float32 (n_answers,) by name


class Wanted(NamedTuple):
    """What answers are held against, a row each.

    mask: bool (n, longest), the positions that the gold answer has, that of its end too; keywords:
    int64 (n, most), -1 where a row has fewer; least: int64 (n,), tokens, 1 or more; end: the token
    that ends an answer; ngram: how many tokens a repeat has.
    """

    mask: Tensor
    keywords: Tensor
    least: Tensor
    end: int
    ngram: int


def counted(
    tokens: Sequence[int], keywords: Collection[int], least: int, ngram: int
) -> dict[str, float]:
    """The three of an answer, whose end is not among the *tokens*; none of nothing is 0."""
    starts = range(len(tokens) - ngram + 1)
    grams = [tuple(tokens[start : start + ngram]) for start in starts]
    missing = set(keywords) - set(tokens)
    return {
        "repeats": 1 - len(set(grams)) / len(grams) if grams else 0.0,
        "keywords": len(missing) / len(set(keywords)) if missing else 0.0,
        "short": max(0, least - len(tokens)) / least,
    }


def argmax(logits: Tensor, wanted: Wanted) -> Penalties:
    """The three of the likeliest tokens; without a gradient. logits: (n, longest, n_tokens)."""
    rows = zip(logits.argmax(dim=2), *wanted[:3], strict=True)
    found = [
        counted(
            until(tokens[mask].tolist(), wanted.end),
            keywords[keywords >= 0].tolist(),
            int(least),
            wanted.ngram,
        )
        for tokens, mask, keywords, least in rows
    ]
    return {name: logits.new_tensor([row[name] for row in found]) for name in found[0]}


def until(tokens: Sequence[int], end: int) -> list[int]:
    """The tokens before the first *end*."""
    return list(tokens[: tokens.index(end)] if end in tokens else tokens)


def expected(logits: Tensor, wanted: Wanted) -> Penalties:
    """What the three are on average; with gradients. logits: (n, longest, n_tokens)."""
    chances = logits.softmax(dim=2)
    ends = torch.where(wanted.mask, chances[:, :, wanted.end], 1.0)
    return {
        "repeats": repeats(chances, ends, wanted),
        "keywords": keywords_left_out(chances, ends, wanted),
        "short": shortness(ends, wanted),
    }


def repeats(chances: Tensor, ends: Tensor, wanted: Wanted) -> Tensor:
    """Expected repeated n-grams over expected n-grams, of those before the end."""
    n, count = wanted.ngram, chances.shape[1] - wanted.ngram + 1
    if count < 2:
        return chances.new_zeros(len(chances))
    same = equal_tokens(chances, ends, wanted.end)
    grams = torch.stack([same[:, k : k + count, k : k + count] for k in range(n)]).prod(dim=0)
    new = (1 - grams.tril(diagonal=-1)).prod(dim=2)
    there = (1 - ends).cumprod(dim=1)[:, n - 1 :]
    return (there * (1 - new)).sum(dim=1) / there.sum(dim=1).clamp(min=1)


def equal_tokens(chances: Tensor, ends: Tensor, end: int) -> Tensor:
    """The chance that two positions have one token, if no end is there: (n, longest, longest)."""
    stop, on = chances[:, :, end], (1 - ends).clamp(min=TINY)
    both = chances @ chances.transpose(1, 2) - stop[:, :, None] * stop[:, None, :]
    return (both / (on[:, :, None] * on[:, None, :])).clamp(0, 1)


def keywords_left_out(chances: Tensor, ends: Tensor, wanted: Wanted) -> Tensor:
    """The mean over the keywords of the chance that the answer ends without having said it."""
    known = wanted.keywords >= 0
    places = wanted.keywords.clamp(min=0)[:, None, :].expand(-1, chances.shape[1], -1)
    said = chances.gather(2, places)
    unsaid = (1 - ends[:, :, None] - said).clamp(min=0).cumprod(dim=1)  # and not at the end yet
    before = torch.cat([torch.ones_like(unsaid[:, :1]), unsaid[:, :-1]], dim=1)
    never = unsaid[:, -1] + (before * ends[:, :, None]).sum(dim=1)
    return (never * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)


def shortness(ends: Tensor, wanted: Wanted) -> Tensor:
    """The mean over the first *least* positions of the chance that the answer is over by then."""
    over = 1 - (1 - ends).cumprod(dim=1)
    first = torch.arange(ends.shape[1], device=ends.device) < wanted.least[:, None]
    return (over * first).sum(dim=1) / wanted.least


MODES: Mapping[str, Callable[[Tensor, Wanted], Penalties]] = {
    "expected": expected,
    "argmax": argmax,
    "none": lambda logits, wanted: {},  # noqa: ARG005  the names say what they are
}
