"""The first lines of a report: which system is best, by how much, and what it costs."""

from collections.abc import Sequence

from reports.record import Cell, Record
from reports.standing import Standing, mean, median_ns, shown
from reports.table import escape, markdown
from reports.units import NONE, bounds, count, duration, figure, p_is, size

NOISE = 1.1
"""Medians within this factor are not told apart: one machine, one process each."""


def answer(standing: Standing) -> list[str]:
    """The paragraphs that answer the question, honest where nothing differs."""
    found = [" ".join([_quality(standing), *_rivals(standing)]), " ".join(_cost(standing))]
    if standing.failed:
        names = listed([cell.system for cell in standing.failed])
        found.append(f"{count(len(standing.failed), 'system')} failed: {names}.")
    return [paragraph for paragraph in found if paragraph]


def across(standings: Sequence[Standing], record: Record) -> str:
    """A table of the headline means of every system on every suite, the best in bold."""
    header = ["system", *(f"{place(s)}, {shown(s.headline)}" for s in standings)]
    columns = [{cell.system: cell for cell in s.cells} for s in standings]
    held_against = {cell.system for s in standings for cell in s.bounds}
    rows = [
        [escape(system.name)]
        + [
            _entry(standing, column.get(system.name))
            for standing, column in zip(standings, columns, strict=True)
        ]
        for system in record.systems
        if system.name not in held_against
    ]
    return markdown(header, rows, "l" + "r" * len(standings))


def place(standing: Standing) -> str:
    """The suite with its split, where it has splits: models (test)."""
    suite = standing.suite
    return escape(suite.name) + (f" ({escape(suite.split)})" if suite.split else "")


def strong(name: str) -> str:
    return f"**{escape(name)}**"


def listed(names: Sequence[str]) -> str:
    """**a**, **b** and **c**."""
    *most, last = map(strong, names)
    return f"{', '.join(most)} and {last}" if most else last


def _entry(standing: Standing, cell: Cell | None) -> str:
    if cell is None:
        return NONE
    text = figure(mean(cell, standing.headline))
    bold = f"**{text}**" if cell is standing.cells[0] else text
    return f"{bold} {standing.letters(standing.headline, cell.system)}".rstrip()


def _quality(standing: Standing) -> str:
    """Who has the highest headline figure; *best* only where it is shown to differ from all."""
    on = f"on {place(standing)}, {count(standing.suite.queries, 'query')}"
    if not standing.cells:
        return f"No system finished {on}."
    name, top = shown(standing.headline), mean(standing.cells[0], standing.headline)
    low, high = (standing.cells[0].means[standing.headline][bound] for bound in ("low", "high"))
    value = f"{figure(top)} (95 % interval {bounds(low, high)})"
    leaders = [c.system for c in standing.cells if mean(c, standing.headline) == top]
    if len(standing.cells) == 1:
        return (
            f"{listed(leaders)} reaches {name} {value} {on}; "
            "there is no other system to compare it with."
        )
    if len(leaders) > 1:
        return f"{listed(leaders)} share the highest {name} {on}: {value}."
    if standing.comparison(standing.headline) and not standing.tied():
        return f"{listed(leaders)} is best {on}: {name} {value}."
    return f"{listed(leaders)} has the highest {name} {on}: {value}."


def _rivals(standing: Standing) -> list[str]:
    """How far the next system is behind, and which are not shown to differ from the first."""
    if len(standing.cells) < 2:
        return []
    best, second, *_ = standing.cells
    pair = standing.pair(best.system, second.system)
    if pair is None:
        return ["The systems were not compared."]
    low, high = (pair.low, pair.high) if pair.a == best.system else (-pair.high, -pair.low)
    gap = (
        f"{_gap(abs(pair.difference))} (95 % interval {bounds(low, high)}, "
        f"{p_is(pair.p_holm)} after Holm's correction)"
    )
    tied = [cell.system for cell in standing.tied()]
    worse = [cell.system for cell in standing.cells[1:] if cell.system not in tied]
    said = [f"The next, {strong(second.system)}, is behind by {gap}."] if pair.difference else []
    if tied:
        said.append(f"{listed(tied)} {_are(tied)} not shown to differ from {strong(best.system)}.")
    if tied and worse:
        said.append(f"{listed(worse)} {_are(worse)} shown to be worse.")
    found = standing.comparison(standing.headline)
    if tied and found and found.detectable:
        said.append(
            f"With {count(standing.suite.queries, 'query')} a pair tested alone must differ by "
            f"about {figure(found.detectable)} to be likely to show it, among several by more."
        )
    return said


def _gap(gap: float) -> str:
    return figure(gap) if gap >= 0.0005 else "less than 0.001"


def _are(names: Sequence[str]) -> str:
    return "are" if len(names) > 1 else "is"


def _cost(standing: Standing) -> list[str]:
    """What the first system costs, and which of its equals answers fastest."""
    if not standing.cells or (median := median_ns(standing.cells[0])) is None:
        return []
    best = standing.cells[0]
    index = best.cost.index_bytes if best.cost else None
    said = f"{strong(best.system)} answers a query in {duration(median)} (median)"
    said += f", with an index of {size(index)}." if index is not None else "."
    timed = [(ns, c) for c in standing.cells if (ns := median_ns(c)) is not None]
    fastest_ns, fastest = min(timed, key=lambda item: item[0])
    tied = [item for item in timed if item[1] in standing.tied()]
    least = min((ns for ns, _ in tied), default=median)
    # timings this close are noise: of those that fast, the one with the highest figure
    equal_ns, equal = next((item for item in tied if item[0] <= NOISE * least), (median, best))
    found = [said]
    if NOISE * equal_ns < median:
        found.append(
            f"Of those not shown to differ from it, {strong(equal.system)} is the fastest: "
            f"{duration(equal_ns)}."
        )
    if NOISE * fastest_ns < min(equal_ns, median):
        loss = mean(best, standing.headline) - mean(fastest, standing.headline)
        found.append(
            f"The fastest of all, {strong(fastest.system)}, takes {duration(fastest_ns)} "
            f"and scores {_gap(loss)} less."
        )
    return found
