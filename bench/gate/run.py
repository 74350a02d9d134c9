"""The cells of a baseline, run again with the code of now."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.config import Experiment
from bench.gate.baseline import Baseline
from bench.runner import Options, run_experiment
from qrels.errors import DataError
from qrels.suites import load_suite
from reports.record import Record


def run_cells(
    experiment: Experiment,
    baseline: Baseline,
    folder: Path,
    device: str,
    say: Callable[[str], None],
) -> Record:
    """A record of the experiment's systems on the suites of *baseline*, run files in *folder*.

    The suites are those that the experiment names where it names any, which a suite that is a
    folder needs; the depth and the split are those of the baseline. Quality only.
    """
    splits = dict.fromkeys((cell.suite, cell.split, cell.depth) for cell in baseline.cells)
    depths = {depth for _, _, depth in splits}
    if len(depths) > 1:
        raise DataError(f"the baseline has cells of depths {sorted(depths)}; gate a record instead")
    names = {str(name): str(name) for name in experiment.suites}
    folders = {Path(name).name: name for name in names}
    suites = [load_suite(folders.get(suite, suite), split) for suite, split, _ in splits]
    whole = replace(experiment, suites=suites, split=None, depth=depths.pop())
    return run_experiment(whole, folder, Options(protocol=None, device=device), say)
