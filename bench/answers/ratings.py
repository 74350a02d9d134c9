"""What raters said of each system: means, agreement, and values per query to compare."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.answers.agreement import agreement, alpha
from bench.answers.items import MEASURE, Item, Key
from bench.answers.sheet import SheetRow
from bench.stats import bootstrap_mean
from qrels.errors import DataError
from reports.record import Cell, Record, SuiteInfo, SystemInfo
from reports.table import clean, plain
from reports.units import NONE, bounds, count, figure

Floats = NDArray[np.float64]


class Ratings(NamedTuple):
    """Who rated, and the ratings, float64 (n_raters, n_items), NaN where there is none."""

    raters: tuple[str, ...]
    values: Floats


def collected(key: Key, sheets: Mapping[str, Sequence[SheetRow]]) -> Ratings:
    """The ratings of each rater's sheet, in the order of the key's items; DataError for none."""
    places = {item.item_id: place for place, item in enumerate(key.items)}
    values = np.full((len(sheets), len(places)), np.nan)
    for rater, rows in enumerate(sheets.values()):
        for row in rows:
            if row.rating is not None:
                values[rater, places[row.item_id]] = row.rating
    for name, own in zip(sheets, values, strict=True):
        if np.isnan(own).all():
            raise DataError(f"the sheet of {name} has no rating")
    return Ratings(tuple(sheets), values)


def item_means(values: Floats) -> Floats:
    """The mean over raters of each item, (n_items,), NaN where nobody rated it."""
    rated = ~np.isnan(values)
    total = np.where(rated, values, 0.0).sum(axis=0)
    means = np.full(len(total), np.nan)
    np.divide(total, rated.sum(axis=0), out=means, where=rated.any(axis=0))
    return means


def rated_record(key: Key, values: Floats, seed: int, created: str = "") -> Record:
    """The ratings as a record: each suite's questions on which all systems have a rating.

    values: (n_items,), NaN where there is none. A suite without such questions is left out;
    DataError where that leaves nothing.
    """
    suites, cells = [], []
    for info in key.suites:
        whole = _whole(info, key.items, values)
        if not whole:
            continue
        suites.append(_cut(info, whole))
        cells += [_cell(info, name, whole, seed) for name in next(iter(whole.values()))]
    if not cells:
        raise DataError("no question has a rating for each system")
    names = sorted({cell.system for cell in cells})
    return Record(
        status="complete",
        name="ratings",
        created=created,
        command="",
        seed=seed,
        environment={},
        suites=tuple(suites),
        systems=tuple(SystemInfo(name, "", {}, None, {}, None, {}) for name in names),
        cells=tuple(cells),
        comparisons=(),
        examples=(),
    )


def _whole(info: SuiteInfo, items: Sequence[Item], values: Floats) -> dict[str, dict[str, float]]:
    """By query that all systems have a rating on, the ratings by system, systems in order."""
    found: dict[str, dict[str, float]] = {name: {} for name in info.query_ids}
    systems: set[str] = set()
    for item, value in zip(items, values.tolist(), strict=True):
        if (item.suite, item.split) == (info.name, info.split):
            systems.update(item.systems)
            if value == value:  # not NaN
                found[item.query_id].update(dict.fromkeys(item.systems, value))
    order = sorted(systems)
    return {
        query: {name: own[name] for name in order}
        for query, own in found.items()
        if len(own) == len(order)
    }


def _cut(info: SuiteInfo, kept: Mapping[str, object]) -> SuiteInfo:
    """The suite with those queries alone that are in *kept*."""
    rows = [row for row, name in enumerate(info.query_ids) if name in kept]
    return replace(
        info,
        queries=len(rows),
        query_ids=tuple(info.query_ids[row] for row in rows),
        kinds=tuple(info.kinds[row] for row in rows),
        texts=None if info.texts is None else tuple(info.texts[row] for row in rows),
    )


def _cell(
    info: SuiteInfo, system: str, whole: Mapping[str, Mapping[str, float]], seed: int
) -> Cell:
    values = np.array([own[system] for own in whole.values()])
    found = bootstrap_mean(values, np.random.default_rng(seed))
    return Cell(
        suite=info.name,
        split=info.split,
        system=system,
        status="ok",
        error=None,
        values={MEASURE: tuple(values.tolist())},
        means={MEASURE: found._asdict()},
        missing=0,
        run_file=None,
        run_digest=None,
        cost=None,
    )


def page(key: Key, ratings: Ratings, record: Record) -> str:
    """Means of the systems on each suite, and how far the raters agree, as text."""
    parts = [
        f"{count(len(key.items), 'answer')} rated from {key.low} to {key.high} by "
        f"{count(len(ratings.raters), 'rater')}"
    ]
    asked = {(info.name, info.split): info.queries for info in key.suites}
    for suite in record.suites:
        place = (suite.name, suite.split)
        parts.append(_means(record, place, suite.queries, asked[place]))
    if len(ratings.raters) > 1:
        parts.append(agreement_table(ratings))
    return "\n\n".join(parts) + "\n"


def _means(record: Record, place: tuple[str, str], queries: int, asked: int) -> str:
    cells = [cell for cell in record.cells if (cell.suite, cell.split) == place]
    cells.sort(key=lambda cell: -cell.means[MEASURE]["mean"])
    head = f"{place[0]} ({place[1]}): {count(queries, 'question')}"
    if left := asked - queries:
        head += f"; {left:,} left out, where some system has no rating"
    rows = []
    for cell in cells:
        mean, low, high = cell.means[MEASURE].values()
        rows.append((cell.system, figure(mean), bounds(low, high)))
    return f"{clean(head)}\n{plain(('system', 'mean rating', '95 % interval'), rows, 'lrl')}"


def agreement_table(ratings: Ratings) -> str:
    """Each pair of raters, and all of them by Krippendorff's alpha."""
    rows = []
    for (a, left), (b, right) in combinations(zip(*ratings, strict=True), 2):
        found = agreement(left, right)
        figures = (found.same, found.kappa, found.weighted)
        rows.append((a, b, f"{found.items:,}", *map(_figure, figures)))
    header = ("rater", "rater", "items", "same", "kappa", "weighted kappa")
    table = plain(header, rows, "llrrrr")
    return f"{table}\nKrippendorff's alpha (ordinal): {_figure(alpha(ratings.values))}"


def _figure(value: float | None) -> str:
    return NONE if value is None else figure(value)
