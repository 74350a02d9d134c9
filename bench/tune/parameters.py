"""Parameters searched by Optuna: quality against latency, resumable, in an SQLite file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.config import Experiment, System
from bench.latency import Protocol
from bench.runner import Options, run_experiment
from qrels.data import Suite
from qrels.errors import BenchError, MissingPackageError, UsageError
from reports.plots import pareto
from reports.record import Cell
from reports.standing import median_ns
from reports.tuning import ParameterSearch, Trial

Space = Mapping[str, tuple[System, ...]]


def search_parameters(
    dev: Suite,
    test: Suite | None,
    systems: Sequence[System],
    trials: int,
    measure: str,
    study: Path | None,
    seed: int,
    protocol: Protocol | None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[System, ParameterSearch]:
    """The best of *systems*, the points of a grid, by Optuna's search rather than one by one.

    The points are told apart by their parameters, each a categorical dimension; with a protocol
    latency is a second objective. study: an SQLite file to go on from, or none. Raises
    MissingPackageError without Optuna, UsageError where the file is of another search.
    """
    optuna = _optuna()
    space = dimensions(systems)
    points = {key_of(system, space): system for system in systems}
    names = ["maximize", *(["minimize"] if protocol else [])]
    name = f"{dev.name} {dev.split} {dev.digest[:12]} {measure}"
    found: dict[int, Cell] = {}

    def objective(trial: Any) -> tuple[float, ...]:  # optuna's own class
        point = tuple(trial.suggest_categorical(key, list(values)) for key, values in space.items())
        if point not in points:
            raise optuna.TrialPruned
        cell = run_one(dev, points[point], measure, protocol)
        found[trial.number] = cell
        mean = cell.means[measure]["mean"]
        trial.set_user_attr("system", points[point].name)
        say(f"[{trial.number + 1}] {points[point].name}: {measure} {mean:.4f}")
        return (mean, *([median_ns(cell) or 0.0] if protocol else []))

    try:
        search = optuna.create_study(
            storage=f"sqlite:///{study}" if study else None,
            study_name=name,
            directions=names,
            load_if_exists=True,
            sampler=optuna.samplers.TPESampler(seed=seed),
        )
        search.optimize(objective, n_trials=max(0, trials - len(search.trials)))
    except ValueError as error:
        raise UsageError(f"{study or 'study'}: {error}") from error
    done = [one for one in search.trials if one.values and "system" in one.user_attrs]
    if not done:
        raise UsageError("no trial finished; give more with --trials")
    best = max(done, key=lambda one: one.values[0])
    system = next(s for s in systems if s.name == best.user_attrs["system"])
    held = run_one(test, system, measure, None).means[measure]["mean"] if test else None
    costs = [(one.values[1] if protocol else 0.0, one.values[0]) for one in done]
    front = pareto(costs)
    return system, ParameterSearch(
        suite=dev.name,
        measure=measure,
        trials=tuple(
            Trial(one.user_attrs["system"], one.values[0], cost if protocol else None, i in front)
            for i, (one, (cost, _)) in enumerate(zip(done, costs, strict=True))
        ),
        best=system.name,
        dev=best.values[0],
        test=held,
    )


def dimensions(systems: Sequence[System]) -> dict[str, tuple[Any, ...]]:
    """The values of each parameter in which the systems differ, in the order of the systems."""
    tables = [flat(system) for system in systems]
    keys = dict.fromkeys(key for table in tables for key in table)
    values = {key: tuple(dict.fromkeys(table.get(key) for table in tables)) for key in keys}
    return {key: found for key, found in values.items() if len(found) > 1}


def flat(system: System) -> dict[str, Any]:
    """The system as one table of plain values; what is not plain is its text."""
    table = {
        "retriever": system.retriever, **system.params, "reranker": system.reranker,
        **{f"reranker.{key}": value for key, value in system.reranker_params.items()},
        "rerank_depth": system.rerank_depth if system.reranker else None,
    }  # fmt: skip
    plain = (str, int, float, bool, type(None))
    return {key: value if isinstance(value, plain) else repr(value) for key, value in table.items()}


def key_of(system: System, space: Mapping[str, Sequence[Any]]) -> tuple[Any, ...]:
    table = flat(system)
    return tuple(table.get(key) for key in space)


def run_one(suite: Suite, system: System, measure: str, protocol: Protocol | None) -> Cell:
    """One cell; a failure is a BenchError."""
    suite = replace(suite, measures=[measure])
    record = run_experiment(Experiment([suite], [system]), None, Options(protocol=protocol))
    (cell,) = record.cells
    if cell.error is not None:
        raise BenchError(f"{system.name}: {cell.error}")
    return cell


def _optuna() -> Any:  # an optional package without types
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "a search over parameters needs optuna: pip install 'retrieval-bench[tune]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
