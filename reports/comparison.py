"""The page of `bench compare`: the answer first, then each measure, then the queries behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports import sections
from reports.record import Record, SuiteInfo
from reports.sections import joined
from reports.standing import Standing, shown, standing
from reports.summary import answer, place
from reports.table import escape, markdown
from reports.units import NONE, count, figure, signed

BEST = 10
TITLE_WIDTH = 40


@dataclass(frozen=True)
class Place:
    """A document in a ranking, and its rank in the other one, None where it is not in there."""

    doc_id: str
    grade: int | None
    title: str | None
    other_rank: int | None


@dataclass(frozen=True)
class QueryComparison:
    """One query on two systems: values, share in the difference of means, and both rankings."""

    query_id: str
    text: str | None
    kind: str
    values: tuple[float, float]
    share: float
    rankings: tuple[tuple[Place, ...], tuple[Place, ...]]


def render(
    record: Record,
    queries: Sequence[tuple[SuiteInfo, Sequence[QueryComparison]]],
    alpha: float = 0.05,
) -> str:
    """The page of everything compared; *queries* by suite, where they were asked for."""
    parts = []
    several = len(record.suites) > 1
    for suite in record.suites:
        found = standing(record, suite)
        if several:
            parts.append(f"## {place(found)}")
        parts.append(answer(found)[0])
        parts.append(sections.board(found, alpha))
        for measure in suite.measures:
            if not measure.startswith("Judged"):  # of the judgements, not of the systems
                parts += [f"**{shown(measure)}**", sections.pair_table(found, measure)]
        family = count(len(found.cells) * (len(found.cells) - 1) // 2, "pair")
        parts.append(f"All of this is {sections.PAIRED.format(f'{family} of each measure')}")
        if kinds := sections.kinds(found):
            parts += ["**By kind of query**", kinds]
    for suite, chosen in queries:
        parts.append(_queries(record, standing(record, suite), chosen))
    return joined(*parts) + "\n"


def _queries(record: Record, found: Standing, chosen: Sequence[QueryComparison]) -> str:
    suite = found.suite
    a, b, *_ = [c.system for c in record.cells if (c.suite, c.split) == (suite.name, suite.split)]
    measure = shown(suite.measures[0])
    if not chosen:
        return f"**{escape(a)}** and **{escape(b)}** have the same {measure} on every query."
    head = (
        f"**Queries behind the difference in {measure} of {escape(a)} less {escape(b)}**, on "
        f"{place(found)}: {count(len(chosen), 'query')}, the largest "
        f"first. Rankings to {BEST}, grades in brackets where they are at hand, a dash where there "
        f"is none. Out: not in the first {BEST} of {escape(b)}; in: new there; up and down by so "
        "many ranks against the other."
    )
    return joined(head, *(_query(one, a, b) for one in chosen))


def _query(found: QueryComparison, a: str, b: str) -> str:
    text = "" if found.text is None else f": {escape(found.text)}"
    kind = f" [{escape(found.kind)}]" if found.kind else ""
    head = (
        f"**{escape(found.query_id)}**{text}{kind} — {figure(found.values[0])} and "
        f"{figure(found.values[1])}, {signed(found.share)} of the difference of means"
    )
    depth = max(map(len, found.rankings))
    rows = [
        [
            str(rank + 1),
            *(_place(ranking[rank], rank + 1, gone) if rank < len(ranking) else NONE
              for ranking, gone in zip(found.rankings, ("out", "in"), strict=True)),
        ]
        for rank in range(depth)
    ]  # fmt: skip
    return joined(head, markdown(["", escape(a), escape(b)], rows, "rll"))


def _place(found: Place, rank: int, gone: str) -> str:
    """The document with its grade and how it moved; gone: the word where it is in one list only."""
    title = found.title if found.title and found.title not in found.doc_id else ""
    if len(title) > TITLE_WIDTH:
        title = title[: TITLE_WIDTH - 1].rstrip() + "…"
    named = escape(found.doc_id) + (f", {escape(title)}" if title else "")
    grade = NONE if found.grade is None else str(found.grade)
    return f"{named} ({grade}) {_move(found.other_rank, rank, gone)}".rstrip()


def _move(other: int | None, rank: int, gone: str) -> str:
    if other is None or other > BEST:
        return f"**{gone}**"
    if other == rank:
        return ""
    return f"up {other - rank}" if other > rank else f"down {rank - other}"
