"""Questions, a relevant passage for each, and hard negatives: what bi-encoders learn from.

A batch is ranked as a whole: its passages are the questions' own and their hard negatives. So none
is in it twice, and none that is relevant to another question of the batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from encoders.base import Side
from qrels.errors import DataError
from training.config import DataOptions, Say, option

if TYPE_CHECKING:
    from torch import Tensor

    from qrels.data import Suite

LEAST = 4
"""Questions a batch at least; the few left at an epoch's end would have few passages to tell from,
and are in other batches in other epochs."""

Texts = Mapping[str, "Tensor"]
"""Token ids and masks of texts, int64 (n_texts, longest)."""


@dataclass(frozen=True)
class RankingOptions(DataOptions):
    """What every recipe takes that learns to rank passages."""

    measure: str = option("nDCG@10", "what is measured")
    fields: tuple[str, ...] = option((), "fields that make a passage; all, if none are named")
    negatives: int = option(1, "hard negatives a question", least=0)
    negatives_from: str = option("bm25", "the system they come from: retriever[+reranker]")
    negatives_depth: int = option(50, "how deep in its ranking", least=1)
    negatives_margin: float = option(
        0.95, "the share of the relevant passage's score that a negative has at most", least=0
    )


class Pairs(NamedTuple):
    """Rows to train on: questions and positions of passages, one each.

    relevant: all passages that are relevant to the question; negatives: hard ones, of no
    question's relevant ones.
    """

    questions: list[str]
    positives: list[int]
    relevant: list[frozenset[int]]
    negatives: list[list[int]]


class Inputs(NamedTuple):
    """One process's share of a batch, and the place of each question's passage in all of it."""

    questions: Texts
    passages: Texts
    targets: "Tensor"

    @property
    def tokens(self) -> int:
        return self.questions["input_ids"].numel() + self.passages["input_ids"].numel()


def make_pairs(suite: "Suite", options: RankingOptions, say: Say, prompt: str = "") -> Pairs:
    """A row for each judgement that calls a passage relevant, with its hard negatives.

    prompt: goes before each question. DataError where there is no row.
    """
    from training.mining import mine, relevant_documents

    relevant = relevant_documents(suite)
    rows = [(query, doc) for query, docs in enumerate(relevant) for doc in sorted(docs)]
    if not rows:
        raise DataError(f"{suite.name} ({suite.split}): no question has a relevant passage")
    if without := sum(not docs for docs in relevant):
        say(f"{without:,} of {len(relevant):,} questions have no relevant passage and are left out")
    negatives: Sequence[list[int]] = [[] for _ in relevant]
    if options.negatives:
        mined = mine(
            suite,
            options.negatives_from,
            options.negatives,
            options.negatives_depth,
            options.negatives_margin,
        )
        negatives = mined.negatives
        say(f"hard negatives by {options.negatives_from}: {mined.without:,} questions have none")
    return Pairs(
        [prompt + suite.queries.texts[query] for query, _ in rows],
        [doc for _, doc in rows],
        [relevant[query] for query, _ in rows],
        [negatives[query] for query, _ in rows],
    )


def row_lengths(pairs: Pairs, asked: Sequence[int], long: Sequence[int]) -> list[int]:
    """Tokens of each row. asked, long: those of each row's question, of each passage."""
    rows = zip(asked, pairs.positives, pairs.negatives, strict=True)
    return [length + sum(long[doc] for doc in (own, *others)) for length, own, others in rows]


def pair_batches(
    pairs: Pairs, lengths: Sequence[int], options: RankingOptions, epoch: int
) -> list[list[int]]:
    """The batches of an epoch, in none of which a passage is relevant to two questions.

    lengths: tokens of each row, if batches are limited by them.
    """
    from training.batching import epoch_batches

    def clash(row: int, batch: list[int]) -> bool:
        own, target = pairs.relevant[row], pairs.positives[row]
        return any(target in pairs.relevant[r] or pairs.positives[r] in own for r in batch)

    sizes = lengths or [1] * len(pairs.questions)
    found = epoch_batches(
        sizes, options.batch_size, options.batch_tokens, options.seed, epoch, clash
    )
    least = min(LEAST, options.batch_size, len(pairs.questions))

    def full(batch: list[int]) -> bool:
        longest = max(sizes[row] for row in batch)
        return 0 < options.batch_tokens < longest * (len(batch) + 1)

    return [batch for batch in found if len(batch) >= least or full(batch)]


def batch_passages(pairs: Pairs, rows: Sequence[int]) -> list[int]:
    """The passages of a batch: the questions' own in their order, then the hard negatives."""
    own = [pairs.positives[row] for row in rows]
    relevant = frozenset().union(*(pairs.relevant[row] for row in rows))
    hard = dict.fromkeys(doc for row in rows for doc in pairs.negatives[row])
    return [*own, *(doc for doc in hard if doc not in relevant)]


def batch_inputs(
    pairs: Pairs,
    passages: Sequence[str],
    rows: Sequence[int],
    tokens: Callable[[Sequence[str], Side], Texts],
) -> Inputs:
    """This process's questions and passages of a batch.

    tokens: of some texts of a side, padded.
    """
    import torch

    from training.distributed import offset, share

    own = share(rows)
    questions = tokens([pairs.questions[row] for row in own], "query")
    documents = tokens([passages[doc] for doc in share(batch_passages(pairs, rows))], "passage")
    start = offset(len(rows))
    return Inputs(questions, documents, torch.arange(start, start + len(own)))
