"""The cells of a baseline, run again with the code of now."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.config import Experiment, choose_systems
from bench.gate.baseline import Accepted, Baseline
from bench.gate.rules import Rules
from bench.plan import Plan, planned
from bench.runner import Options, run_experiment
from qrels.data import Suite
from qrels.errors import DataError, UsageError
from qrels.suite_file import read_suite_file
from qrels.suites import IRDS, load_suite, shipped
from reports.record import Record, load, save


def run_cells(
    experiment: Experiment,
    baseline: Baseline,
    rules: Rules,
    folder: Path,
    systems: Sequence[str] = (),
    device: str = "cpu",
    say: Callable[[str], None] = lambda _: None,
) -> Record:
    """The record, saved in *folder*, of the baseline's cells run again; quality only.

    A suite or system that only the experiment knows (a folder, parameters under a name of its
    own) is taken from there. systems: those of the baseline to run, by default all.
    """
    cells = [cell for cell in baseline.cells if not systems or cell.system.name in systems]
    if not cells:
        raise UsageError(f"the baseline has none of the systems {', '.join(systems)}")
    by_suite: dict[tuple[str, str], list[Accepted]] = {}
    for cell in cells:
        by_suite.setdefault((cell.suite, cell.split), []).append(cell)
    plan = [part for mine in by_suite.values() for part in plan_of(experiment, mine, rules)]
    how = Options(protocol=None, device=device, isolate=True)
    save(run_experiment(experiment, folder, how, say, plan=plan), folder)
    return load(folder)  # as a saved one is: lists for tuples, text for paths


def plan_of(experiment: Experiment, cells: Sequence[Accepted], rules: Rules) -> Plan:
    """The one suite of *cells* with their systems, searched and measured as they were."""
    suite, split = cells[0].suite, cells[0].split
    depths = sorted({cell.depth for cell in cells})
    if len(depths) > 1:
        raise DataError(f"the baseline has cells of {suite} of depths {depths}; gate a record")
    measures = [name for cell in cells for name in cell.measures]
    names = [cell.system.name for cell in cells]
    measured = find_suite(experiment, suite, split)
    plan = planned(
        replace(
            experiment,
            suites=[measured],
            systems=choose_systems(names, experiment.systems or ()),
            measures=[*measures, *rules.measures, *(floor.measure for floor in rules.floors)],
            depth=depths[0],
            split=None,
        )
    )
    return [
        (part, [system for system in systems if system.name in names])
        for part, systems in plan
        if part.task == measured.task
    ]


def find_suite(experiment: Experiment, name: str, split: str) -> Suite:
    """The suite called *name*: of the experiment where one there has that name."""
    for found in experiment.suites:
        if isinstance(found, Suite):
            if (found.name, found.split) == (name, split):
                return found
        elif found.startswith(IRDS):
            if name.startswith(found.removeprefix(IRDS)):
                return load_suite(IRDS + name)  # its split is part of its name
        elif found not in shipped() and name == name_of(Path(found)):
            return load_suite(found, split)
    return load_suite(name, split)


def name_of(folder: Path) -> str:
    """What the suite in *folder* calls itself."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    return read_suite_file(folder).name or folder.resolve().name
