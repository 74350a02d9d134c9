"""Candidate and baseline brought together, cell by cell, or refused by name."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.gate.baseline import Accepted, Baseline, digest_of, rankings_of
from bench.gate.decide import Decision, Values, Verdict, decide, decide_all, overall, resolvable
from bench.gate.rules import ANY, Floor, MustPass, Rules
from qrels.errors import DataError, UsageError
from reports.record import Cell, Record, SuiteInfo, SystemInfo
from reports.verdict import ChangedQuery, GatedCell, GateReport, Requirement

MOST_CHANGED = 10
"""How many queries are shown."""


class Pair(NamedTuple):
    """A cell of the candidate with the one that was accepted."""

    old: Accepted
    new: Cell
    suite: SuiteInfo
    system: SystemInfo
    rankings: Mapping[str, list[str]] | None  # the candidate's, ids best first


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
            decide(
                new - old,
                margin_of(measure, old, rules),
                rules.alpha,
                rules.power,
            )
            for _, measure, (old, new) in cells
        ],
        rules.alpha,
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
        queries=tuple(most_changed(cells)),
        notes=tuple(notes(record, baseline, pairs)),
    )


def joined(
    record: Record, folder: Path, baseline: Baseline, systems: Sequence[str] = ()
) -> Iterator[Pair]:
    """Each cell of the baseline with the candidate's; DataError names what does not fit."""
    if record.status != "complete":
        raise DataError(f"{folder}: the record is {record.status}; only a whole one is compared")
    cells = {(cell.suite, cell.split, cell.system): cell for cell in record.cells}
    suites = {(suite.name, suite.split): suite for suite in record.suites}
    infos = {system.name: system for system in record.systems}
    known = [cell.system.name for cell in baseline.cells]
    for name in systems:
        if name not in known:
            raise UsageError(f"the baseline has no system {name!r}; it has {', '.join(known)}")
    for old in baseline.cells:
        if systems and old.system.name not in systems:
            continue
        where = f"{old.system.name} on {old.suite} ({old.split})"
        new = cells.get(old.key)
        if new is None:
            raise DataError(f"{folder} lacks {where}, which the baseline has")
        if new.error is not None:
            raise DataError(f"{folder}: {where} failed: {new.error}")
        suite = suites[old.suite, old.split]
        check_same(old, suite, where)
        yield Pair(old, new, suite, infos[old.system.name], rankings_of(new, folder))


def check_same(old: Accepted, suite: SuiteInfo, where: str) -> None:
    """DataError where the two were searched or judged by other rules."""
    compared = {
        "labels or corpus (digest)": (old.digest, suite.digest),
        "depth": (old.depth, suite.depth),
        "relevance level": (old.relevance_level, suite.relevance_level),
        "exclude_self": (old.exclude_self, suite.exclude_self),
        "queries": (list(old.queries), list(suite.query_ids)),
    }
    for what, (before, after) in compared.items():
        if before != after:
            sides = "" if what == "queries" else f": {before} in the baseline, {after} now"
            raise DataError(
                f"{where}: other {what}{sides}; make a new baseline with `bench baseline accept`"
            )


def margin_of(measure: str, accepted: Values, rules: Rules) -> float:
    """The margin that the rules give the measure, by default what its queries can resolve."""
    given = {ANY: resolvable(accepted, rules.alpha, rules.power), **rules.margins}
    return given.get(measure, given[ANY])


def gated_measures(pair: Pair, rules: Rules) -> Sequence[str]:
    """The measures to gate; DataError where one is missing on either side."""
    wanted = rules.measures or (pair.suite.measures[0],)
    for side, names in (("baseline", pair.old.measures), ("candidate", pair.suite.measures)):
        for name in wanted:
            if name not in names:
                raise DataError(
                    f"the {side} lacks {name} of {pair.old.system.name} on {pair.old.suite}; "
                    f"it has {', '.join(names)}"
                )
    return wanted


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
    reranked = changed_rankings(pair)
    if exact and reranked is None:
        raise DataError(
            f"{pair.old.system.name} on {pair.old.suite}: no rankings are known, so --exact "
            "cannot be decided"
        )
    verdict: Verdict = decision.verdict
    if exact:
        verdict = "worse" if reranked else "no worse"
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
        reranked=reranked,
        needed=decision.needed,
        note=changed_system(pair.old.system, pair.system),
    )


def changed_rankings(pair: Pair) -> int | None:
    """For how many queries the ranking is another; None where either side's are not known."""
    lines = pair.old.queries.items()
    if pair.rankings is None or any(not line.ranking for _, line in lines):
        return None
    return sum(digest_of(pair.rankings[query]) != line.ranking for query, line in lines)


def changed_system(old: SystemInfo, new: SystemInfo) -> str:
    """Which parts of the system are others than those accepted, in words."""
    parts = []
    for key, before in vars(old).items():
        after = getattr(new, key)
        if isinstance(before, dict) and isinstance(after, dict):
            parts += [
                f"{key}.{name} {before.get(name)!r} -> {after.get(name)!r}"
                for name in sorted(before.keys() | after.keys())
                if before.get(name) != after.get(name)
            ]
        elif before != after:
            parts.append(f"{key} {before!r} -> {after!r}")
    return f"changed: {'; '.join(parts)}" if parts else ""


def most_changed(
    cells: Sequence[tuple[Pair, str, tuple[Values, Values]]],
) -> Iterator[ChangedQuery]:
    """The queries whose values changed most over all cells, losses before equal gains."""
    rows = [
        (-abs(after - before), after - before, number, row)
        for number, (_, _, (old, new)) in enumerate(cells)
        for row, (before, after) in enumerate(zip(old.tolist(), new.tolist(), strict=True))
        if before != after
    ]
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


def floors(pairs: Sequence[Pair], rules: Sequence[Floor]) -> Iterator[Requirement]:
    """Each floor on each cell that it is for; UsageError where it is for none."""
    for rule in rules:
        for pair in matching(pairs, rule):
            if rule.measure not in pair.new.means:
                raise UsageError(f"a floor is on {rule.measure}, which was not measured")
            mean = pair.new.means[rule.measure]["mean"]
            yield Requirement(
                name=f"{rule.measure} of {pair.old.system.name} on {pair.old.suite} is at least "
                f"{rule.at_least:g}",
                holds=mean >= rule.at_least,
                found=f"{mean:.4f}",
            )


def must_pass(pairs: Sequence[Pair], rules: Sequence[MustPass]) -> Iterator[Requirement]:
    """Each must-pass query on each cell that it is for."""
    for rule in rules:
        chosen = [pair for pair in matching(pairs, rule) if rule.query in pair.suite.query_ids]
        if not chosen:
            raise UsageError(f"must_pass: no gated suite has the query {rule.query!r}")
        for pair in chosen:
            if pair.rankings is None:
                raise DataError(f"{pair.old.suite}: no run file, so no must_pass can be checked")
            ranking = pair.rankings[rule.query]
            rank = ranking.index(rule.document) + 1 if rule.document in ranking else None
            yield Requirement(
                name=f"{pair.old.system.name} on {pair.old.suite} has {rule.document} in the first "
                f"{rule.within} for {rule.query}",
                holds=rank is not None and rank <= rule.within,
                found="not found" if rank is None else f"rank {rank}",
            )


def matching(pairs: Sequence[Pair], rule: Floor | MustPass) -> list[Pair]:
    """The cells of the rule's suite and system; UsageError where there is none."""
    found = [
        pair
        for pair in pairs
        if rule.suite in (None, pair.old.suite) and rule.system in (None, pair.old.system.name)
    ]
    if not found:
        raise UsageError(f"no gated cell has suite {rule.suite!r} and system {rule.system!r}")
    return found


def notes(record: Record, baseline: Baseline, pairs: Sequence[Pair]) -> Iterator[str]:
    """What a reader should know beside the verdict."""
    gated_keys = {pair.old.key for pair in pairs}
    others = [
        f"{cell.system} on {cell.suite}"
        for cell in record.cells
        if (cell.suite, cell.split, cell.system) not in gated_keys
    ]
    if others:
        yield f"not gated, for want of a cell in the baseline or not asked for: {', '.join(others)}"
    for key, before in baseline.environment.items():
        after = record.environment.get(key)
        if before != after and not isinstance(before, dict):
            yield f"the baseline was made with {key} {before}, this with {after}"
        elif isinstance(before, dict) and isinstance(after, dict):
            changed = [
                f"{name} {before.get(name)} -> {after.get(name)}"
                for name in sorted(before.keys() | after.keys())
                if before.get(name) != after.get(name)
            ]
            if changed:
                yield f"other {key} than the baseline's: {', '.join(changed)}"
