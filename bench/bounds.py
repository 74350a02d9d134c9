"""How far the judgements that are missing could move nDCG: exact bounds, not estimates.

The holes are the documents that a run returned within the cutoff and nobody judged; for two runs,
those of either. Each may turn out to have any grade from 0 to the largest; every other unjudged
document stays without one. A relevant hole raises the ideal ranking too, so that the bounds are
not those of "all holes relevant" and "none".

Why they are exact. nDCG, and the difference of two, is N / C: N linear in the gains of the holes,
C, the ideal, convex in them. Among gradings that give out the same grades the largest N has the
holes in the order of their weights. With a[v] holes of grade v or more, N and C are then both
sums over v of terms in a[v] alone, and the largest N / C is the t at which the largest N - t C is
0, found grade by grade (Dinkelbach 1967, doi 10.1287/mnsc.13.7.492). The a[v] found this way
descend in v, as they must: where more judged documents reach a grade, one more costs the ideal
less. That needs t >= 0; where no grading makes N positive, N / C is largest where the holes have
only the grades 0 and the largest, because -N / C is then quasi-concave on the box of all gains.
Grades between two that occur are never needed: a[v] is the same where as many judged documents
reach v.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.judge import judge
from bench.metrics import Measure
from qrels.data import ABSENT, UNJUDGED, Qrels, Run
from qrels.errors import UsageError

Values = NDArray[np.float64]

BLOCK = 1 << 21
"""Numbers in one table: 16 MiB."""

STEPS = 100
"""Of Dinkelbach's at most; two to six are usual, and each gives the value of some grading."""


class Bounds(NamedTuple):
    """The smallest and largest value of each query, float64 (n,); holes: int64 (n,), how many."""

    low: Values
    high: Values
    holes: NDArray[np.int64]

    @property
    def mean(self) -> tuple[float, float]:
        """The bounds of the mean: no judgement is shared by two queries, so they just average."""
        return float(self.low.mean()), float(self.high.mean())


class Question(NamedTuple):
    """A weighted sum of gains over the ideal, of n queries, with grades that are not known.

    docs: int32 (n, m), -1 where there is none; weights: float64 (n, m); open: bool (n, m), the
    holes. levels: int64 (n_levels,), the positive grades, ascending; gains: float64 (n_levels,),
    what each adds to the one below. known: float64 (n, n_levels), the weights of the judged
    documents of at least each level, summed; judged: int64, same shape, how many there are in
    the ideal. ideal: float64, the sum of the first discounts by how many there are.
    """

    docs: NDArray[np.int32]
    weights: Values
    open: NDArray[np.bool_]
    levels: NDArray[np.int64]
    gains: Values
    known: Values
    judged: NDArray[np.int64]
    ideal: Values


def ndcg_bounds(run: Run, qrels: Qrels, measure: Measure, max_grade: int | None = None) -> Bounds:
    """The smallest and largest nDCG that any grading of the run's holes gives.

    measure: an nDCG of either gain, UsageError for another. max_grade: the largest grade of a
    hole, by default that of the qrels, at least 1.
    """
    return bounds_of(question_of(run, None, qrels, measure, max_grade))


def difference_bounds(
    a: Run, b: Run, qrels: Qrels, measure: Measure, max_grade: int | None = None
) -> Bounds:
    """The smallest and largest nDCG(a) - nDCG(b) that any grading of the holes of both gives.

    A document that both returned has one grade, and both have one ideal. Where the mean's bounds
    are on both sides of 0 the winner could flip.
    """
    return bounds_of(question_of(a, b, qrels, measure, max_grade))


def rbp_bounds(run: Run, qrels: Qrels, measure: Measure) -> Bounds:
    """RBP with every hole not relevant, and with every one relevant; the width is its residual.

    What a full ranking would return below its depth (or the cutoff) counts as holes too; a
    ranking that is short has ended. Source: Moffat & Zobel 2008, doi 10.1145/1416950.1416952.
    """
    if measure.name != "RBP":
        raise UsageError(f"{measure} has no RBP residual; expected RBP(p=...)")
    judged = judge(run, qrels)
    low = measure.values(judged)
    p = float(dict(measure.params)["p"])
    depth = min(run.docs.shape[1], measure.cutoff or run.docs.shape[1])
    holes = (judged.present & (judged.grades == UNJUDGED))[:, :depth]
    tail = judged.present[:, :depth].all(axis=1) * p**depth
    residual = holes @ ((1 - p) * p ** np.arange(depth)) + tail
    return Bounds(low, low + residual, holes.sum(axis=1))


def question_of(
    a: Run, b: Run | None, qrels: Qrels, measure: Measure, max_grade: int | None = None
) -> Question:
    """nDCG(a), or nDCG(a) - nDCG(b), with what is not judged left open."""
    if measure.name != "nDCG":
        raise UsageError(f"{measure} has no bounds; expected an nDCG, such as nDCG@10")
    docs, weights = _discounted(a, measure.cutoff)
    if b is not None:
        docs, weights = _less(docs, weights, *_discounted(b, measure.cutoff))
    judged = judge(Run(docs, np.empty(docs.shape, np.float32)), qrels)
    levels = _levels(qrels, max_grade)
    counts = np.column_stack([judged.relevant(int(level)) for level in levels])
    places = np.arange(counts.max(initial=0) + docs.shape[1])
    within = places < (measure.cutoff or len(places))
    ideal = np.concatenate([[0.0], np.cumsum(within / np.log2(places + 2))])
    known = [np.where(judged.grades >= level, weights, 0.0).sum(axis=1) for level in levels]
    return Question(
        docs=docs,
        weights=weights,
        open=judged.present & (judged.grades == UNJUDGED),
        levels=levels,
        gains=_gains(levels, exponential=dict(measure.params).get("dcg") == "exp-log2"),
        known=np.column_stack(known),
        judged=counts,
        ideal=ideal,
    )


def graded(
    question: Question, rows: NDArray[np.intp], columns: NDArray[np.intp], grade: int
) -> Question:
    """The same question once a hole has the *grade*: one row for each (row, column).

    grade: 0 or one of the levels.
    """
    still = question.open[rows]
    still[np.arange(len(rows)), columns] = False
    reached = question.levels <= grade
    return question._replace(
        docs=question.docs[rows],
        weights=question.weights[rows],
        open=still,
        known=question.known[rows] + question.weights[rows, columns][:, None] * reached,
        judged=question.judged[rows] + reached,
    )


def bounds_of(question: Question) -> Bounds:
    """The smallest and largest value of each query over all grades of its holes."""
    n, m = question.docs.shape
    step = max(1, BLOCK // ((m + 1) * len(question.levels)))
    low, high = np.empty(n), np.empty(n)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        part = question._replace(
            **{
                name: getattr(question, name)[rows]
                for name in ("weights", "open", "known", "judged")
            }
        )
        high[rows] = _largest(part)
        low[rows] = -_largest(part._replace(weights=-part.weights, known=-part.known))
    low[low == 0] = 0.0  # not -0.0
    return Bounds(low, high, question.open.sum(axis=1))


def _largest(question: Question) -> Values:
    """float64 (n,): the largest value over all grades of the holes."""
    size = int(question.open.sum(axis=1).max(initial=0))
    weights = -np.sort(np.where(question.open, -question.weights, np.inf), axis=1)[:, :size]
    sums = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1)], axis=1)
    ideals = question.ideal[question.judged[:, :, None] + np.arange(size + 1)]  # (n, levels, size)
    known = question.known @ question.gains
    whole = known[:, None] + sums * question.gains.sum()
    value = _ratio(whole, np.einsum("nva,v->na", ideals, question.gains)).max(axis=1)
    todo = np.flatnonzero(value > 0)
    for _ in range(STEPS):
        gain = sums[todo, None, :] - value[todo, None, None] * ideals[todo]
        reach = size - gain[:, :, ::-1].argmax(axis=2)  # the most of those that are equally good
        reach = np.maximum.accumulate(reach[:, ::-1], axis=1)[:, ::-1]  # whatever rounding says
        part = np.take_along_axis(sums[todo], reach, axis=1) @ question.gains
        whole = np.take_along_axis(ideals[todo], reach[:, :, None], axis=2)[:, :, 0]
        found = _ratio(known[todo] + part, whole @ question.gains)
        better = found > value[todo]
        todo = todo[better]
        value[todo] = found[better]
        if not len(todo):
            break
    return np.asarray(value)


def _ratio(part: Values, whole: Values) -> Values:
    """part / whole; 0 where no document is relevant; -inf stays, for more holes than there are."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.minimum(part, 0.0))


def _discounted(run: Run, cutoff: int | None) -> tuple[NDArray[np.int32], Values]:
    """The documents within the cutoff and the weight of a gain at each."""
    docs = run.docs[:, :cutoff]
    weights = 1 / np.log2(np.arange(docs.shape[1]) + 2)
    return docs, np.broadcast_to(weights, docs.shape)


def _less(
    a: NDArray[np.int32], plus: Values, b: NDArray[np.int32], minus: Values
) -> tuple[NDArray[np.int32], Values]:
    """The documents of both, each once in a row, with the weight in *a* less that in *b*."""
    docs, weights = np.concatenate([a, b], axis=1), np.concatenate([plus, -minus], axis=1)
    order = np.argsort(docs, axis=1, kind="stable")
    docs = np.take_along_axis(docs, order, axis=1)
    weights = np.take_along_axis(weights, order, axis=1)
    again = docs[:, 1:] == docs[:, :-1]  # at most twice: neither ranks a document twice
    weights[:, :-1] += np.where(again, weights[:, 1:], 0.0)
    docs[:, 1:][again] = ABSENT
    return docs, weights


def _levels(qrels: Qrels, max_grade: int | None) -> NDArray[np.int64]:
    """The positive grades that occur, and the largest allowed."""
    largest = max(1, int(qrels.grades.max(initial=0)))
    if max_grade is not None and max_grade < largest:
        raise UsageError(f"the largest grade is given as {max_grade}; the qrels hold {largest}")
    found = {*qrels.grades[qrels.grades > 0].tolist(), max_grade or largest}
    return np.array(sorted(found), np.int64)


def _gains(levels: NDArray[np.int64], *, exponential: bool) -> Values:
    """What each level adds to the gain of the one below, up to a factor that cancels out."""
    below = np.concatenate([[0], levels[:-1]])
    if exponential:
        return np.asarray(np.exp2(levels - levels[-1]) - np.exp2(below - levels[-1]))
    return np.asarray(levels - below, np.float64)
