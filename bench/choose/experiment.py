"""An experiment run to choose from: every system on dev with its cost, the contenders on test."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.choose.budget import QUANTITIES
from bench.choose.report import CHOOSE_ON, CONFIRM_ON, Rule, chosen_on
from bench.config import Experiment
from bench.latency import Protocol
from bench.plan import Plan, planned
from bench.runner import Options, run_experiment
from qrels.data import Suite
from qrels.suites import SETS, shipped, splits
from reports.record import Record

Say = Callable[[str], None]


def run_to_choose(
    experiment: Experiment, rule: Rule, options: Options, say: Say = lambda _: None
) -> Record:
    """One record of it all: on dev with costs, then the contenders of the choice on test without.

    A suite that lacks one of the two splits is run on the one there is, and so is every suite
    where the experiment names another. Latency takes as many rounds as the budgets need.
    """
    records = []
    for suite in experiment.suites:
        both = experiment.split in (None, CHOOSE_ON) and {CHOOSE_ON, CONFIRM_ON} <= _splits(suite)
        split = CHOOSE_ON if both else experiment.split
        one = with_measure(replace(experiment, suites=[suite], split=split), rule)
        ((loaded, systems),) = plan = part_of(planned(one), rule)
        protocol = enough(options.protocol or Protocol(), rule, len(loaded.queries))
        records.append(
            run_experiment(one, None, replace(options, protocol=protocol), say, plan=plan)
        )
        if both:
            _, choice = chosen_on(records[-1], records[-1].suites[0], rule)
            again = [system for system in systems if system.name in choice.contenders]
            say(f"chosen on {CHOOSE_ON}: {choice.chosen or 'nothing'}")
            two = replace(one, split=CONFIRM_ON, systems=again)
            if again:
                how = replace(options, protocol=None)
                plan = part_of(planned(two), rule)
                records.append(run_experiment(two, None, how, say, plan=plan))
    return merged(records)


def part_of(plan: Plan, rule: Rule) -> Plan:
    """What is chosen by: rankings, or answers where the rule names a measure of these."""
    return [(suite, systems) for suite, systems in plan if suite.task == rule.task]


def _splits(suite: str | Suite) -> set[str]:
    """The splits that a suite has by name; one that is loaded, or not a folder, has no other."""
    if isinstance(suite, Suite):
        return set()
    return set(splits(SETS / suite if suite in shipped() else Path(suite)))


def with_measure(experiment: Experiment, rule: Rule) -> Experiment:
    """The experiment, with the measure to choose by among its measures."""
    if rule.measure is None:
        return experiment
    ((suite, _),) = part_of(planned(experiment), rule)
    return replace(experiment, measures=[*suite.measures, rule.measure])


def enough(protocol: Protocol, rule: Rule, queries: int) -> Protocol:
    """The protocol with as many rounds as the percentiles of the budgets need samples."""
    needed = max((QUANTITIES[budget.quantity].samples for budget in rule.budgets), default=1)
    rounds = math.ceil(needed / min(protocol.queries, queries))
    return replace(protocol, rounds=max(protocol.rounds, rounds))


def merged(records: Sequence[Record]) -> Record:
    """One record of several that were made together."""
    first = records[0]
    systems = {info.name: info for record in records for info in record.systems}
    return replace(
        first,
        suites=tuple(info for record in records for info in record.suites),
        systems=tuple(systems.values()),
        cells=tuple(cell for record in records for cell in record.cells),
        comparisons=tuple(found for record in records for found in record.comparisons),
        examples=tuple(found for record in records for found in record.examples),
        findings=tuple(found for record in records for found in record.findings),
    )
