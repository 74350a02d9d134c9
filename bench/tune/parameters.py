"""Parameters searched by Optuna: quality against latency, resumable, in an SQLite file."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.config import System
from bench.latency import Protocol, measure_cost
from bench.runner import measure_run
from bench.stats import Interval, paired_bootstrap
from bench.system import search_suite
from qrels.data import Suite
from qrels.errors import BenchError, MissingPackageError, UsageError
from reports.plots import pareto
from reports.standing import percentile
from reports.tuning import ParameterSearch, Trial

Params = Mapping[str, Any]
"""A point as Optuna holds it: which kind of system, where there are several, and its values."""


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

    No point is run twice, so that as many trials as points are the whole grid; a point that fails
    is said and left out. With a protocol latency is a second objective. study: an SQLite file to
    go on from, or none. Raises MissingPackageError without Optuna, UsageError where the file
    cannot be used or nothing finished.
    """
    optuna = _optuna()
    points = {system.name: system for system in systems}
    failed: set[str] = set()
    with _plain_errors(study):
        search = optuna.create_study(
            storage=f"sqlite:///{study}" if study else None,
            study_name=study_name(dev, systems, measure, protocol),
            directions=["maximize", *(["minimize"] if protocol else [])],
            load_if_exists=True,
            sampler=optuna.samplers.TPESampler(seed=seed),
        )
        done = _done(search)
        rng = np.random.default_rng([seed, len(done)])
        while len(done) < trials and (left := [n for n in points if n not in {*done, *failed}]):
            trial, name = _next(search, systems, left, rng)
            try:
                found = run_one(dev, points[name], measure, protocol)
            except BenchError as error:
                failed.add(name)
                say(f"{name} failed: {error}")
                search.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            trial.set_user_attr("system", name)
            search.tell(trial, found)
            done[name] = list(found)
            say(f"[{len(done)}] {name}: {measure} {found[0]:.4f}")
    if not done:
        raise UsageError("no trial finished; nothing can be chosen")
    best = points[max(done, key=lambda name: done[name][0])]
    held, gain = (None, None) if test is None else confirmed(test, best, systems[0], measure, seed)
    front = pareto([(found[1] if protocol else 0.0, found[0]) for found in done.values()])
    return best, ParameterSearch(
        suite=dev.name,
        split=dev.split,
        measure=measure,
        points=len(points),
        failed=tuple(sorted(failed)),
        trials=tuple(
            Trial(name, found[0], found[1] if protocol else None, i in front)
            for i, (name, found) in enumerate(done.items())
        ),
        best=best.name,
        dev=done[best.name][0],
        test_split=test.split if test else None,
        test=held,
        start=systems[0].name,
        gain=gain,
    )


def confirmed(
    test: Suite, best: System, start: System, measure: str, seed: int
) -> tuple[float, Interval | None]:
    """The best's mean on *test* and its gain over *start*, None where there is none to be had."""
    mine = values_of(test, best, measure)
    if best.name == start.name:
        return float(mine.mean()), None
    try:
        theirs = values_of(test, start, measure)
    except BenchError:
        return float(mine.mean()), None
    return float(mine.mean()), paired_bootstrap(mine, theirs, np.random.default_rng(seed))


def study_name(
    dev: Suite, systems: Sequence[System], measure: str, protocol: Protocol | None
) -> str:
    """What a study is found by in its file: another grid, suite, depth or measure is another."""
    tables = repr([(system.name, flat(system)) for system in systems]).encode()
    against = " latency" if protocol else ""
    grid = hashlib.sha256(tables).hexdigest()[:12]
    return f"{dev.name} {dev.split} {dev.digest[:12]} {dev.depth} {measure}{against} {grid}"


def _done(search: Any) -> dict[str, list[float]]:
    """The values of the trials that finished, by the system's name, in the order they ran."""
    return {
        one.user_attrs["system"]: list(one.values)
        for one in search.trials
        if one.values and "system" in one.user_attrs
    }


def _next(
    search: Any, systems: Sequence[System], left: Sequence[str], rng: np.random.Generator
) -> tuple[Any, str]:
    """The next trial and its system: Optuna's proposal, or one of *left* where that is none.

    A proposal is none where it was run before or is no point of the grid; it ends as failed,
    which the sampler leaves out of account.
    """
    import optuna

    trial = search.ask()
    name = proposal(trial, systems)
    if name is not None and name in left:
        return trial, name
    search.tell(trial, state=optuna.trial.TrialState.FAIL)
    name = left[int(rng.integers(len(left)))]
    search.enqueue_trial(params_of(next(s for s in systems if s.name == name), systems))
    trial = search.ask()
    proposal(trial, systems)  # which gives the trial its parameters
    return trial, name


def proposal(trial: Any, systems: Sequence[System]) -> str | None:
    """The name of the system that the trial proposes, None where the grid has no such point.

    Systems of different make have different parameters: the make is chosen first.
    """
    makes = list(dict.fromkeys(map(make_of, systems)))
    make = trial.suggest_categorical("make", makes) if len(makes) > 1 else makes[0]
    mine = [system for system in systems if make_of(system) == make]
    chosen = {
        key: trial.suggest_categorical(f"{make} {key}", list(values))
        for key, values in dimensions(mine).items()
    }
    return next(
        (one.name for one in mine if all(flat(one)[key] == v for key, v in chosen.items())), None
    )


def params_of(system: System, systems: Sequence[System]) -> Params:
    """What Optuna would have to suggest for *system*."""
    makes = set(map(make_of, systems))
    make = make_of(system)
    space = dimensions([one for one in systems if make_of(one) == make])
    table = flat(system)
    return {
        **({"make": make} if len(makes) > 1 else {}),
        **{f"{make} {key}": table[key] for key in space},
    }


def make_of(system: System) -> str:
    """Retriever, reranker, and which of their parameters are given."""
    names = "+".join(filter(None, (system.retriever, system.reranker)))
    return f"{names}({', '.join(sorted(flat(system)))})"


def dimensions(systems: Sequence[System]) -> dict[str, tuple[Any, ...]]:
    """The values of each parameter in which the systems differ, in the order of the systems."""
    tables = [flat(system) for system in systems]
    keys = dict.fromkeys(key for table in tables for key in table)
    values = {key: tuple(dict.fromkeys(table.get(key) for table in tables)) for key in keys}
    return {key: found for key, found in values.items() if len(found) > 1}


def flat(system: System) -> dict[str, Any]:
    """The parameters as one table of plain values; what is not plain is its text."""
    table = {
        **system.params,
        **{f"reranker.{key}": value for key, value in system.reranker_params.items()},
        **({"rerank_depth": system.rerank_depth} if system.reranker else {}),
    }
    plain = (str, int, float, bool, type(None))
    return {key: value if isinstance(value, plain) else repr(value) for key, value in table.items()}


def run_one(
    suite: Suite, system: System, measure: str, protocol: Protocol | None
) -> tuple[float, ...]:
    """The mean of the measure and, with a protocol, the median latency in nanoseconds.

    BenchError for whatever fails, a plug-in's own errors too.
    """
    mean = float(values_of(suite, system, measure).mean())
    if protocol is None:
        return (mean,)
    median = percentile(measure_cost(suite, system, protocol), "total", 50)
    if median is None:
        raise BenchError("no latency was measured")
    return mean, median


def values_of(suite: Suite, system: System, measure: str) -> NDArray[np.float64]:
    """The measure per query, float64 (n_queries,); BenchError for whatever fails."""
    one = replace(suite, measures=[measure])
    try:
        return measure_run(one, search_suite(one, system))[measure]
    except BenchError:
        raise
    except (Exception, SystemExit) as error:  # a plug-in may raise anything
        raise BenchError(f"{type(error).__name__}: {error}") from error


@contextmanager
def _plain_errors(study: Path | None) -> Iterator[None]:
    """What Optuna and its database raise, as one line that names the file."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (OptunaError, SQLAlchemyError, RuntimeError, ValueError) as error:
        reason = next(iter(str(error.__cause__ or error).splitlines()), type(error).__name__)
        raise UsageError(f"{study or 'study'}: {reason}") from error


def _optuna() -> Any:  # an optional package without types
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "a search over parameters needs optuna: pip install 'retrieval-bench[tune]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
