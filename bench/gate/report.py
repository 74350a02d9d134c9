"""The verdict on a record: every cell decided, all of them together, and what led to it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.gate.baseline import Baseline
from bench.gate.decide import Decision, Values, Verdict, decide, decide_all, overall
from bench.gate.join import Pair, joined, reranked
from bench.gate.margins import gated_measures, margin_of
from bench.gate.notes import changed_system, notes
from bench.gate.requirements import floors, must_pass
from bench.gate.rules import Rules
from bench.stats import ROUNDING
from qrels.errors import DataError
from reports.record import Record
from reports.verdict import ChangedQuery, GatedCell, GateReport

MOST_CHANGED = 10
"""How many queries are shown."""


def gate(
    record: Record,
    folder: Path,
    baseline: Baseline,
    rules: Rules,
    name: str = "baseline",
    exact: bool = False,
    systems: Sequence[str] = (),
) -> GateReport:
    """The verdict on *record*, whose run files are in *folder*, against *baseline*.

    name: what the baseline is called in the report. exact: any changed ranking is worse.
    systems: those of the baseline that are gated, by default all. Raises DataError where a
    cell is missing, or where labels, corpus, depth or rules are others.
    """
    pairs = list(joined(record, folder, baseline, systems))
    cells = [
        (pair, measure, values(pair, measure))
        for pair in pairs
        for measure in gated_measures(pair, rules)
    ]
    decisions = decide_all(
        [
            decide(new - old, margin_of(pair, measure, rules), rules.alpha, rules.power)
            for pair, measure, (old, new) in cells
        ],
        rules.alpha,
        rules.power,
    )
    found = tuple(
        gated(pair, measure, means, decision, exact)
        for (pair, measure, means), decision in zip(cells, decisions, strict=True)
    )
    requirements = (*floors(pairs, rules.floors), *must_pass(pairs, rules.must_pass))
    verdicts: list[Verdict] = [cell.verdict for cell in found]  # type: ignore[misc] # only these
    if not all(requirement.holds for requirement in requirements):
        verdicts.append("worse")
    return GateReport(
        verdict=overall(verdicts),
        exact=exact,
        alpha=rules.alpha,
        power=rules.power,
        baseline=name,
        cells=found,
        requirements=requirements,
        queries=tuple(most_changed(cells, exact)),
        notes=tuple(notes(record, pairs, rules)),
    )


def values(pair: Pair, measure: str) -> tuple[Values, Values]:
    """float64 (n_queries,) each: what was accepted, and what there is now."""
    return pair.old.column(measure), np.array(pair.new.values[measure])


def gated(
    pair: Pair,
    measure: str,
    means: tuple[Values, Values],
    decision: Decision,
    exact: bool,
) -> GatedCell:
    """The cell for the report; under *exact* the rankings alone decide."""
    others = reranked(pair)
    if exact and others is None:
        raise DataError(
            f"{pair.old.system.name} on {pair.old.suite}: no rankings are known, so --exact "
            "cannot be decided"
        )
    verdict: Verdict = decision.verdict
    if exact:
        verdict = "worse" if others else "no worse"
    return GatedCell(
        suite=pair.old.suite,
        split=pair.old.split,
        system=pair.old.system.name,
        measure=measure,
        verdict=verdict,
        baseline=float(means[0].mean()),
        candidate=float(means[1].mean()),
        difference=decision.mean,
        lower=decision.lower,
        upper=decision.upper,
        p=decision.p,
        margin=decision.margin,
        queries=decision.queries,
        changed=decision.changed,
        reranked=None if others is None else len(others),
        needed=None if exact else decision.needed,
        note=changed_system(pair.old.system, pair.system),
    )


def most_changed(
    cells: Sequence[tuple[Pair, str, tuple[Values, Values]]], exact: bool
) -> Iterator[ChangedQuery]:
    """The queries whose values changed most over all cells, losses before equal gains.

    exact: those too of which the ranking alone changed.
    """
    rows = []
    for number, (pair, _, (old, new)) in enumerate(cells):
        also = set(reranked(pair) or ()) if exact else set()
        for row, change in enumerate((new - old).tolist()):
            if abs(change) > ROUNDING or pair.suite.query_ids[row] in also:
                rows.append((-abs(change), change, number, row))
    for _, _, number, row in sorted(rows)[:MOST_CHANGED]:
        pair, measure, (old, new) = cells[number]
        yield ChangedQuery(
            suite=pair.old.suite,
            split=pair.old.split,
            system=pair.old.system.name,
            measure=measure,
            query_id=pair.suite.query_ids[row],
            text=pair.suite.texts[row] if pair.suite.texts else None,
            before=float(old[row]),
            after=float(new[row]),
        )
