"""The measures: functions of a judged run that give one float64 a query.

In all of them cutoff is a number of ranks or None for the whole ranking, rel the smallest grade
that is relevant (at least 1, so a negative grade never is), an unjudged document is not
relevant and gains 0, and a query without retrieved or without relevant documents gives 0.
Where trec_eval has a measure of the kind they agree with it.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from bench.judge import Judged, Ranking, nth
from qrels.data import UNJUDGED
from qrels.errors import UsageError

Values = NDArray[np.float64]
"""float64 (n_queries,): what a measure gives."""


def ndcg(judged: Judged, cutoff: int | None = None, dcg: str = "log2") -> Values:
    """Discounted gain over that of the ideal ranking; the gain is the grade or 2^grade - 1.

    The ideal holds all judged documents, retrieved or not; the discount is log2(rank + 1).
    Source: Jarvelin & Kekalainen 2002 as in trec_eval ndcg, ndcg_cut; Burges et al. 2005 as in
    gdeval, for dcg="exp-log2".
    """
    best = np.zeros(len(judged))
    first = judged.ideal.ranks == 0
    best[judged.ideal.queries[first]] = judged.ideal.grades[first]

    def discounted(ranking: Ranking) -> Values:
        top = _top(ranking, cutoff, 1)
        gains = GAINS[dcg](top.grades.astype(np.float64), best[top.queries])
        return _sum(judged, top, gains / np.log2(top.ranks + 2))

    return _ratio(discounted(judged.hits), discounted(judged.ideal))


def _exponential(grades: Values, best: Values) -> Values:
    """2^grade - 1, over 2^best: the same ratio, and no overflow at any grade."""
    return np.asarray(np.exp2(grades - best) - np.exp2(-best))


GAINS: Mapping[str, Callable[[Values, Values], Values]] = {
    "log2": lambda grades, _: grades,
    "exp-log2": _exponential,
}
"""The gain of a grade, given the best grade of its query, by ir_measures' names."""


def reciprocal_rank(judged: Judged, cutoff: int | None = None, rel: int = 1) -> Values:
    """One over the rank of the first relevant document; trec_eval recip_rank.

    Source: Kantor & Voorhees 2000.
    """
    top = _top(judged.hits, cutoff, rel)
    return _sum(judged, top, (nth(top.queries, len(judged)) == 0) / (top.ranks + 1))


def average_precision(judged: Judged, cutoff: int | None = None, rel: int = 1) -> Values:
    """Sum of the precision at each relevant document, over all relevant ones, found or not.

    Source: Harman 1992; trec_eval map, map_cut.
    """
    top = _top(judged.hits, cutoff, rel)
    at_each = (nth(top.queries, len(judged)) + 1) / (top.ranks + 1)
    return _ratio(_sum(judged, top, at_each), judged.relevant(rel))


def precision(judged: Judged, cutoff: int | None = None, rel: int = 1) -> Values:
    """Relevant documents within the cutoff, over the cutoff, however many were retrieved.

    Without a cutoff, over the number retrieved. trec_eval P, set_P.
    """
    retrieved = _retrieved(judged) if cutoff is None else np.full(len(judged), cutoff)
    return _ratio(_found(judged, cutoff, rel), retrieved)


def recall(judged: Judged, cutoff: int | None = None, rel: int = 1) -> Values:
    """Relevant documents within the cutoff, over all relevant ones; trec_eval recall."""
    return _ratio(_found(judged, cutoff, rel), judged.relevant(rel))


def success(judged: Judged, cutoff: int | None = None, rel: int = 1) -> Values:
    """1 where a relevant document is within the cutoff; trec_eval success."""
    return (_found(judged, cutoff, rel) > 0).astype(np.float64)


def r_precision(judged: Judged, cutoff: int | None = None, rel: int = 1) -> Values:
    """Precision at rank R, the number of relevant documents; trec_eval Rprec.

    A cutoff below R leaves the divisor at R.
    """
    top, total = _top(judged.hits, cutoff, rel), judged.relevant(rel)
    return _ratio(_sum(judged, top, (top.ranks < total[top.queries]).astype(np.float64)), total)


def bpref(judged: Judged, cutoff: int | None = None, rel: int = 1) -> Values:
    """Share of preferences of a relevant over a judged non-relevant document that are kept.

    Each relevant document retrieved adds 1 - min(n, R) / min(N, R), n being the non-relevant
    ones above it and N all of them; the sum is over R. As in trec_eval, unjudged documents and
    those with a negative grade take no part. Source: Buckley & Voorhees 2004; trec_eval bpref.
    """
    pool, top = _top(judged.hits, cutoff, 0), _top(judged.hits, cutoff, rel)
    above = nth(pool.queries, len(judged))[pool.grades >= rel] - nth(top.queries, len(judged))
    total = judged.relevant(rel)
    bound = np.maximum(np.minimum(judged.nonrelevant(rel), total), 1)  # above is 0 where N is
    lost = np.minimum(above, total[top.queries]) / bound[top.queries]
    return _ratio(_sum(judged, top, 1 - lost), total)


def rank_biased_precision(
    judged: Judged, cutoff: int | None = None, p: float = 0.8, rel: int = 1
) -> Values:
    """(1 - p) times the sum of p^(rank - 1) over relevant documents.

    Source: Moffat & Zobel 2008; binary, as cwl_eval gives it to ir_measures.
    """
    top = _top(judged.hits, cutoff, rel)
    return (1 - p) * _sum(judged, top, p**top.ranks)


def expected_reciprocal_rank(judged: Judged, cutoff: int | None = None, max_rel: int = 4) -> Values:
    """Expected 1/rank where a reader stops at a document with chance (2^grade - 1) / 2^max_rel.

    UsageError where a grade is above *max_rel*. Source: Chapelle et al. 2009; gdeval err.
    """
    largest = judged.ideal.grades.max(initial=0)
    if largest > max_rel:
        raise UsageError(
            f"ERR takes grades up to {max_rel}, the qrels hold {largest}; "
            f"write ERR(max_rel={largest})"
        )
    top = _top(judged.hits, cutoff, 1)
    chance = (np.exp2(top.grades, dtype=np.float64) - 1) / 2.0**max_rel
    order = nth(top.queries, len(judged))
    goes_on = np.ones((len(judged), order.max(initial=-1) + 2))
    goes_on[top.queries, order + 1] = 1 - chance
    reached = np.cumprod(goes_on, axis=1)[top.queries, order]
    return _sum(judged, top, chance * reached / (top.ranks + 1))


def judged_share(judged: Judged, cutoff: int | None = None) -> Values:
    """Share of the retrieved documents within the cutoff that have a judgement, of any grade.

    Where fewer than the cutoff were retrieved, over those; ir_measures Judged.
    """
    retrieved = _retrieved(judged)
    within = retrieved if cutoff is None else np.minimum(retrieved, cutoff)
    return _ratio(_found(judged, cutoff, UNJUDGED), within)


def _top(ranking: Ranking, cutoff: int | None, level: int) -> Ranking:
    """The entries within the cutoff with a grade of at least *level*."""
    keep = ranking.grades >= level
    if cutoff is not None:
        keep &= ranking.ranks < cutoff
    return Ranking(ranking.queries[keep], ranking.ranks[keep], ranking.grades[keep])


def _sum(judged: Judged, ranking: Ranking, weights: NDArray[np.floating]) -> Values:
    """Each query's sum, in rank order as trec_eval adds."""
    return np.asarray(np.bincount(ranking.queries, weights, minlength=len(judged)), np.float64)


def _found(judged: Judged, cutoff: int | None, level: int) -> NDArray[np.int64]:
    return np.bincount(_top(judged.hits, cutoff, level).queries, minlength=len(judged))


def _retrieved(judged: Judged) -> NDArray[np.int64]:
    return np.asarray(np.count_nonzero(judged.present, axis=1))


def _ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Values:
    """part / whole, 0 where whole is 0."""
    quotient = np.zeros(len(part))
    np.divide(part, whole, out=quotient, where=whole > 0)
    return quotient
