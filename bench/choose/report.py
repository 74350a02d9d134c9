"""The choice on each suite of a record, from its cells to what the page shows."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.choose.budget import QUANTITIES, Budget
from bench.choose.confirm import confirmed, cross_validated
from bench.choose.decide import ALPHA, Candidate, Choice, Values, candidates, choose, front
from bench.choose.rows import considered, misses, stage
from bench.choose.written import command_of, toml_of
from bench.examples import finished
from bench.metrics import is_of_answers, named
from bench.stats import compare_systems
from qrels.data import ANSWERS
from qrels.errors import UsageError
from reports.choice import ChoiceReport, Confirmation
from reports.record import Cell, Record, SuiteInfo
from reports.standing import standing

SHOWN = ("p50", "p95", "index_mb", "memory_mb", "build_s")
"""The costs that the table has besides those of the budgets."""

CHOOSE_ON, CONFIRM_ON = "dev", "test"
"""The splits, where a suite has both."""


@dataclass(frozen=True)
class Rule:
    """How to choose: the budgets, what is cheap, on which measure (None: the suite's first)."""

    budgets: Sequence[Budget] = ()
    measure: str | None = None
    seed: int = 13

    @property
    def cost(self) -> str:
        return self.budgets[0].quantity if self.budgets else "p50"

    @property
    def quantities(self) -> list[str]:
        return list(dict.fromkeys([*(budget.quantity for budget in self.budgets), *SHOWN]))

    @property
    def task(self) -> str:
        """What is chosen by: "answers" where that is what the measure is of."""
        of_answers = self.measure is not None and is_of_answers(self.measure)
        return "answers" if of_answers else "retrieval"

    def measure_of(self, suite: SuiteInfo) -> str:
        """The measure to choose by; UsageError where the suite has it not."""
        measure = suite.measures[0]
        if self.measure is not None:
            measure = named(self.measure, suite.relevance_level)
        if measure not in suite.measures:
            raise UsageError(
                f"{measure} was not measured on {suite.name}; there are {', '.join(suite.measures)}"
            )
        return measure


def pairs(record: Record, suite: str | None = None) -> list[tuple[SuiteInfo, SuiteInfo | None]]:
    """Each suite as choices are made on it, with its other split to confirm on, where it has both.

    suite: only the one of this name; UsageError where there is none.
    """
    found = {(info.name, info.split): info for info in record.suites}
    chosen = []
    for (name, split), info in found.items():
        end = ANSWERS if info.task == "answers" else ""
        on, other = (name, CHOOSE_ON + end), (name, CONFIRM_ON + end)
        both = {on, other} <= found.keys()
        if suite in (None, name) and not (both and (name, split) == other):
            confirm = both and (name, split) == on
            chosen.append((info, found[other] if confirm else None))
    if not chosen:
        names = ", ".join(dict.fromkeys(info.name for info in record.suites))
        raise UsageError(f"no suite {suite!r}; there are: {names}")
    return chosen


def chosen_on(record: Record, suite: SuiteInfo, rule: Rule) -> tuple[list[Candidate], Choice]:
    """The finished systems on *suite*, best first, and the choice among them.

    Raises UsageError where no cell finished, or where the measure or a cost that a budget is on
    was not measured.
    """
    cells = finished(suite, record.cells)
    if not cells:
        raise UsageError(f"no system finished on {suite.name} ({suite.split})")
    found = candidates(cells, rule.measure_of(suite), rule.quantities, rule.seed)
    check_measured(found, cells, rule.budgets)
    return found, choose(found, rule.budgets, rule.cost, np.random.default_rng(rule.seed))


def report_of(
    record: Record,
    suite: SuiteInfo,
    rule: Rule = Rule(),
    held: Sequence[Cell] = (),
    name: str | None = None,
) -> ChoiceReport:
    """What to ship on *suite*.

    held: cells of its other split, to confirm on; without the chosen among them the choice is
    cross-validated. name: what the suite is called on the command line. Errors as in `chosen_on`.
    """
    found, choice = chosen_on(record, suite, rule)
    infos = {info.name: info for info in record.systems}
    cells = {cell.system: cell for cell in finished(suite, record.cells)}
    measure = rule.measure_of(suite)
    priced = any(one.amounts[rule.cost] is not None for one in found)
    on_front = front(found, rule.cost, shown_better(record, suite, measure, found))
    info = infos[choice.chosen] if choice.chosen else None
    chosen_values = next((one.values for one in found if one.name == choice.chosen), None)
    confirmation, notes = confirm(choice, found, rule, measure, held)
    limit = rule.budgets[0].limit / QUANTITIES[rule.cost].axis[1] if rule.budgets else None
    return ChoiceReport(
        suite=suite.name,
        split=suite.split,
        queries=suite.queries,
        measure=measure,
        budgets=tuple(budget.text for budget in rule.budgets),
        order=rule.cost,
        limit=limit,
        titles={name: QUANTITIES[name].title for name in rule.quantities},
        chosen=choice.chosen,
        best=choice.best,
        cheapest=choice.rivals[0] if choice.rivals and priced else None,
        considered=tuple(
            considered(
                one,
                cells[one.name].means[measure],
                chosen_values,
                rule.budgets,
                choice,
                on_front.get(one.name, ""),
                rule.seed,
            )
            for one in found
        ),
        misses=() if choice.chosen else tuple(misses(found, rule.budgets)),
        confirmation=confirmation,
        stages=tuple(
            stage(cells[one.name], infos[one.name].rerank_depth or suite.depth, measure, rule.seed)
            for one in found
        ),
        failed={
            cell.system: cell.error
            for cell in record.cells
            if (cell.suite, cell.split) == (suite.name, suite.split) and cell.error is not None
        },
        notes=(*notes, *remarks(record, cells.values())),
        command=command_of(name or suite.name, info) if info else "",
        toml=toml_of(name or suite.name, info) if info else "",
    )  # fmt: skip


def remarks(record: Record, cells: Iterable[Cell]) -> Iterator[str]:
    """What else to know: costs that could not be measured, a run that was interrupted."""
    for cell in cells:
        if cell.cost_error is not None:
            yield f"The cost of {cell.system} could not be measured: {cell.cost_error}"
    if record.status == "partial":
        yield "The record is of a run that was interrupted."


def check_measured(
    found: Iterable[Candidate], cells: Sequence[Cell], budgets: Sequence[Budget]
) -> None:
    """UsageError where no system has the cost that a budget is on, saying how to get it."""
    for budget in budgets:
        if any(one.amounts[budget.quantity] is not None for one in found):
            continue
        samples = [np.size(cell.cost.latency_ns.get("total", ())) for cell in cells if cell.cost]
        needed = QUANTITIES[budget.quantity].samples
        if not samples and (reasons := [cell.cost_error for cell in cells if cell.cost_error]):
            raise UsageError(f"{budget.text}: no cost could be measured: {reasons[0]}")
        if not samples:
            raise UsageError(
                f"{budget.text}: the record has no costs; run it again without --no-latency"
            )
        if max(samples) < needed:
            raise UsageError(
                f"{budget.text}: takes {needed} samples, the record has {max(samples)} of each "
                "system; `bench choose EXPERIMENT.toml` takes as many as are needed"
            )
        raise UsageError(f"{budget.text}: no system has a figure for {budget.quantity}")


def shown_better(
    record: Record, suite: SuiteInfo, measure: str, found: Sequence[Candidate]
) -> Collection[tuple[str, str]]:
    """The pairs, better one first, that are shown to differ among all pairs, as in the report."""
    compared = standing(record, suite).comparison(measure)
    if len(found) < 2:
        return ()
    all_pairs = (
        compared.pairs
        if compared
        else compare_systems(
            {one.name: one.values for one in found}, np.random.default_rng(record.seed)
        ).pairs
    )
    return {
        (pair.a, pair.b) if pair.difference > 0 else (pair.b, pair.a)
        for pair in all_pairs
        if pair.p_holm <= ALPHA
    }


def confirm(
    choice: Choice, found: Sequence[Candidate], rule: Rule, measure: str, held: Sequence[Cell]
) -> tuple[Confirmation | None, list[str]]:
    """The choice on the held cells, else by cross-validation; and what there is to note."""
    if choice.chosen is None or len(found) < 2:
        return None, []
    values: dict[str, Values] = {
        cell.system: np.array(cell.values[measure])
        for cell in held
        if cell.error is None and measure in cell.values
    }
    if choice.chosen in values:
        where = f"{held[0].suite} ({held[0].split})"
        kept = {name: values[name] for name in choice.contenders if name in values}
        absent = [name for name in choice.contenders if name not in values]
        notes = [f"Not run on {where}, or failed there: {', '.join(absent)}."] if absent else []
        return confirmed(choice.chosen, found, kept, where, rule.seed), notes
    notes = [f"{choice.chosen} was not run on {held[0].split}, or failed there."] if held else []
    return cross_validated(found, rule.budgets, rule.cost, rule.seed), notes
