"""Checks of one system's rankings, from a run file or a record."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.bounds import ndcg_bounds
from bench.judge import judge
from bench.lint.findings import Check, Found, Level, some
from bench.metrics import Measure, parse_measure
from qrels.data import ABSENT, UNJUDGED, Qrels, Run

FIRST = 10
TIED = 0.1
"""rep_llama's run of TREC DL 2019, with scores of three digits, has .25; no run here over .04."""
MISSING = 0.1
JUDGED = 0.9
MOST = 0.5


class Rankings(NamedTuple):
    """A system's rankings of a suite's queries; qrels None where they are not at hand.

    measures: as the suite names them; n_docs: the size of the corpus, None where not known.
    """

    name: str
    query_ids: Sequence[str]
    run: Run
    qrels: Qrels | None = None
    measures: Sequence[str] = ()
    n_docs: int | None = None


def constant_scores(rankings: Rankings) -> Iterator[Found]:
    """Only rankings of three documents or more: two may well be equal."""
    rows, flat = _flat(rankings.run)
    if flat.any():
        level: Level = "error" if flat.sum() == rows.sum() else "warning"
        names = _named(rankings, flat)
        yield level, f"{rankings.name}: one score for all documents of {names}"


def ties(rankings: Rankings) -> Iterator[Found]:
    scores = rankings.run.scores[~_flat(rankings.run)[1], : FIRST + 1]
    beside = np.isfinite(scores[:, 1:])
    same = beside & (scores[:, 1:] == scores[:, :-1])
    share = same.sum() / max(1, beside.sum())
    if share > TIED:
        yield (
            "warning",
            f"{rankings.name}: {share:.0%} of neighbours in the first {FIRST} have the same score, "
            "so that their ids decide the order",
        )


def one_ranking(rankings: Rankings) -> Iterator[Found]:
    docs = rankings.run.docs[:, :FIRST]
    docs = docs[(docs != ABSENT).any(axis=1)]
    if len(docs) > 2:
        counts = np.unique(docs, axis=0, return_counts=True)[1]
        if counts.max() > MOST * len(docs):
            level: Level = "error" if counts.max() == len(docs) else "warning"
            share = f"{counts.max()} of {len(docs)} queries"
            yield level, f"{rankings.name}: the same first {FIRST} documents for {share}"


def missing(rankings: Rankings) -> Iterator[Found]:
    empty = (rankings.run.docs == ABSENT).all(axis=1)
    if empty.any():
        share = empty.mean()
        level: Level = "error" if share == 1 else "warning" if share > MISSING else "note"
        yield level, f"{rankings.name}: nothing returned for {_named(rankings, empty)}"


def short(rankings: Rankings) -> Iterator[Found]:
    returned = (rankings.run.docs != ABSENT).sum(axis=1)
    wanted = min(FIRST, rankings.n_docs or FIRST)
    few = (returned > 0) & (returned < wanted)
    if few.any():
        level: Level = "warning" if few.mean() > MOST else "note"
        names = _named(rankings, few)
        yield level, f"{rankings.name}: fewer than {wanted} documents for {names}"


def shallow(rankings: Rankings) -> Iterator[Found]:
    deepest = int((rankings.run.docs != ABSENT).sum(axis=1).max(initial=0))
    beyond = [name for name in rankings.measures if (parse_measure(name).cutoff or 0) > deepest > 0]
    if beyond and deepest < (rankings.n_docs or deepest + 1):
        yield (
            "warning",
            f"{rankings.name}: the deepest ranking has {deepest} documents, too few for "
            f"{', '.join(beyond)}",
        )


def unjudged(rankings: Rankings) -> Iterator[Found]:
    """With the bounds of nDCG over all gradings of what is not judged."""
    if rankings.qrels is None:
        return
    measure = headline(rankings.measures)
    judged = judge(rankings.run, rankings.qrels)
    present = judged.present[:, : measure.cutoff]
    holes = int((present & (judged.grades[:, : measure.cutoff] == UNJUDGED)).sum())
    if holes:
        low, high = ndcg_bounds(rankings.run, rankings.qrels, measure).mean
        where = "ranked" if measure.cutoff is None else f"in the first {measure.cutoff}"
        yield (
            "warning" if 1 - holes / present.sum() < JUDGED else "note",
            f"{rankings.name}: {holes:,} of {present.sum():,} documents {where} are not judged, "
            f"{holes / len(present):.1f} a query; {measure} is "
            f"{measure.values(judged).mean():.3f}, and from {low:.3f} to {high:.3f} however they "
            "are graded",
        )


def headline(measures: Sequence[str]) -> Measure:
    """The first nDCG among *measures*, else nDCG@10."""
    found = (parse_measure(name) for name in measures)
    return next((one for one in found if one.name == "nDCG"), Measure("nDCG", FIRST))


def _flat(run: Run) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rankings have three documents or more, and which of those a single score."""
    present = run.docs != ABSENT
    rows = present.sum(axis=1) > 2
    same = np.where(present, run.scores, run.scores[:, :1]) == run.scores[:, :1]
    return rows, rows & same.all(axis=1)


def _named(rankings: Rankings, rows: NDArray[np.bool_]) -> str:
    names = [rankings.query_ids[row] for row in np.flatnonzero(rows).tolist()]
    return f"{len(names)} of {len(rows)} queries: {some(names)}"


RANKINGS: Sequence[Check[Rankings]] = (
    Check(
        "R1", "one score for all documents of a ranking",
        "write the retriever's scores: without them document ids decide the order", constant_scores,
    ),
    Check(
        "R2", "many equal scores near the top",
        "write scores with nine digits, which give a 32-bit number back exactly; where they are "
        "equal before that, the scores are too coarse to rank by", ties,
    ),
    Check(
        "R3", "the same ranking for most queries",
        "look at what the retriever does with the query: it may be dropped or cut away",
        one_ranking,
    ),
    Check(
        "R4", "queries without a document",
        "they score 0 and stay in the mean; look for an empty query, or one lost on the way",
        missing,
    ),
    Check(
        "R5", f"rankings of fewer than {FIRST} documents",
        "ask for more, unless the retriever finds no more", short,
    ),
    Check(
        "R6", "a measure with a cutoff below the end of every ranking",
        "make the run deeper, or choose a smaller cutoff", shallow,
    ),
    Check(
        "R7", "documents near the top that nobody judged, and what they could change",
        "judge them: `bench judge-next` lists those that matter most", unjudged,
    ),
)  # fmt: skip
