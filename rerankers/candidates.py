"""What every reranker does around its scores: the candidates' texts before, the order after."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qrels.data import ABSENT, Corpus, Run
from qrels.errors import UsageError
from qrels.ranking import order_ties


def positions(docs: NDArray[np.int32]) -> NDArray[np.int32]:
    """The distinct positions among *docs*, ascending, padding left out."""
    return np.unique(docs[docs != ABSENT])


def texts_at(corpus: Corpus, chosen: NDArray[np.int32], fields: Sequence[str] | None) -> list[str]:
    """The joined text of each chosen position; only these documents are read and joined."""
    wanted = chosen.tolist()
    part = Corpus(wanted, {n: [texts[at] for at in wanted] for n, texts in corpus.fields.items()})
    return list(part.joined(fields))


def ordered(
    docs: NDArray[np.int32],
    scores: NDArray[Any],  # floats of any precision
    corpus: Corpus,
) -> Run:
    """The candidates by their new scores, both (n_queries, k), ties by the one rule.

    scores where docs is -1 are not looked at.
    """
    return order_ties(Run(docs, np.asarray(scores, np.float32)), corpus.tie_order)


def check_prepared(n_docs: int, corpus: Corpus) -> None:
    """UsageError where what was prepared for *n_docs* documents meets another corpus."""
    if n_docs != len(corpus):
        raise UsageError(
            f"the reranker was prepared for {n_docs} documents; the corpus has {len(corpus)}"
        )
