"""Relevance mixed with what the metadata says: downloads, likes, age."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qrels.columns import to_date
from qrels.data import ABSENT, Corpus, Run
from qrels.errors import UsageError, unknown
from rerankers.candidates import check_prepared, ordered

Values = NDArray[np.float64]

DAY = np.timedelta64(1, "D")


class MetadataPrior:
    """First-stage relevance plus weighted popularity and recency.

    A score is the weighted sum of parts between 0 and 1, so weights compare with each other.
    relevance: the first stage's score, min-max scaled within the query's candidates (1 where
    they are all equal). downloads and likes: log(1 + value), min-max scaled over the corpus.
    recency: 0.5 ** (age / half_life_days), the age counted back from *reference*, an ISO date,
    by default the newest in the column; what is newer still counts as new. A missing value adds
    0. A column is looked at only where its weight is not 0.
    Errors: UsageError for a column that the corpus lacks or that is of another kind.
    """

    _prior: Values | None = None

    def __init__(
        self,
        relevance: float = 1.0,
        downloads: float = 0.1,
        likes: float = 0.1,
        recency: float = 0.0,
        half_life_days: float = 365.0,
        reference: str | None = None,
        downloads_column: str = "downloads",
        likes_column: str = "likes",
        date_column: str = "created_at",
    ) -> None:
        self.relevance = relevance
        self.downloads = downloads
        self.likes = likes
        self.recency = recency
        self.half_life_days = half_life_days
        self.reference = reference
        self.downloads_column = downloads_column
        self.likes_column = likes_column
        self.date_column = date_column

    def prepare(self, corpus: Corpus) -> None:
        """Mix the prior of every document, so that reranking only looks it up."""
        self._prior = self._mixed(corpus)

    def rerank(self, queries: Sequence[str], run: Run, corpus: Corpus, k: int) -> Run:  # noqa: ARG002
        prior = self._mixed(corpus) if self._prior is None else self._prior
        check_prepared(len(prior), corpus)
        docs, scores = run.docs[:, :k], run.scores[:, :k]
        if not docs.size:
            return Run(docs, scores)
        return ordered(docs, self.relevance * _scaled_rows(docs, scores) + prior[docs], corpus)

    def _mixed(self, corpus: Corpus) -> Values:
        """float64 (n_docs,): all parts but relevance, weighted and added."""
        prior = np.zeros(len(corpus))
        counts = ((self.downloads, self.downloads_column), (self.likes, self.likes_column))
        for weight, name in counts:
            if weight:
                prior += weight * _popularity(_column(corpus, name, ("int", "float")))
        if self.recency:
            prior += self.recency * self._recency(_column(corpus, self.date_column, ("date",)))
        return prior

    def _recency(self, dates: NDArray[np.datetime64]) -> Values:
        if not self.half_life_days > 0:
            raise UsageError(f"half_life_days is {self.half_life_days!r}; expected more than 0")
        known = ~np.isnat(dates)
        if not known.any():
            return np.zeros(len(dates))
        newest = dates[known].max() if self.reference is None else _date(self.reference)
        age = np.where(known, (newest - dates) / DAY, np.inf)
        return np.asarray(0.5 ** (np.maximum(age, 0) / self.half_life_days), np.float64)


def _scaled_rows(docs: NDArray[np.int32], scores: NDArray[np.float32]) -> Values:
    """Each query's scores from 0 to 1, 1 where they are all equal; float64, the same shape."""
    present = docs != ABSENT
    values = np.where(present, scores, 0).astype(np.float64)
    low = np.where(present, values, np.inf).min(axis=1, keepdims=True)
    spread = np.where(present, values, -np.inf).max(axis=1, keepdims=True) - low
    varied = present & (spread > 0)
    scaled: Values = np.divide(values - low, spread, out=np.ones(values.shape), where=varied)
    return scaled


def _popularity(values: Values) -> Values:
    """log(1 + value) from 0 to 1 over the corpus; 0 where missing, or where all are equal."""
    logs = np.log1p(np.maximum(values, 0))
    known = logs[~np.isnan(logs)]
    spread = np.ptp(known) if len(known) else 0
    return np.nan_to_num((logs - known.min()) / spread) if spread else np.zeros(len(values))


def _column(corpus: Corpus, name: str, kinds: Sequence[str]) -> Any:  # an array of that kind
    if name not in corpus.metadata:
        raise unknown("metadata column", name, corpus.metadata)
    column = corpus.metadata[name]
    if column.kind not in kinds:
        raise UsageError(
            f"metadata column {name!r} is of kind {column.kind}; expected {' or '.join(kinds)}"
        )
    return column.values


def _date(text: str) -> np.datetime64:
    try:
        return to_date(text)
    except (TypeError, ValueError) as error:
        raise UsageError(f"reference is {text!r}; expected a date such as 2024-12-31") from error
