"""The choice on one suite, from its cells to what the page shows."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence

import numpy as np

from bench.choose.budget import QUANTITIES, Budget
from bench.choose.decide import (
    Candidate,
    Optimism,
    candidates,
    choose,
    confirmed,
    cross_validated,
    front,
)
from bench.stats import paired_bootstrap
from qrels.errors import UsageError
from reports.choice import ChoiceReport, Confirmation, Considered, Stage
from reports.record import Cell, Record, SuiteInfo, SystemInfo
from reports.standing import STAGES, percentile
from reports.units import NONE, duration
from rerankers import RERANKERS
from retrievers import RETRIEVERS
from retrievers.registry import parameters

SHOWN = ("p50", "p95", "index_mb", "memory_mb", "build_s")
"""The costs that the table has besides those of the budgets."""


def report_of(
    record: Record,
    suite: SuiteInfo,
    budgets: Sequence[Budget],
    measure: str | None = None,
    held: Record | None = None,
) -> ChoiceReport:
    """What to ship on *suite*. held: a record of the same suite's other split, to confirm on.

    Without it the choice is cross-validated. Raises UsageError where no cell finished, or where
    the measure or a cost that a budget is on was not measured.
    """
    here = (suite.name, suite.split)
    cells = [c for c in record.cells if (c.suite, c.split) == here and c.error is None]
    if not cells:
        raise UsageError(f"no system finished on {suite.name} ({suite.split})")
    measure = measure or suite.measures[0]
    if measure not in suite.measures:
        raise UsageError(
            f"{measure} was not measured on {suite.name}; there are {', '.join(suite.measures)}"
        )
    found = candidates(cells, measure, record.seed)
    check_measured(found, budgets)
    cost = budgets[0].quantity if budgets else "p50"
    choice = choose(found, budgets, cost, np.random.default_rng(record.seed))
    on_front = front(found, cost, np.random.default_rng(record.seed))
    infos = {info.name: info for info in record.systems}
    return ChoiceReport(
        suite=suite.name,
        split=suite.split,
        queries=suite.queries,
        measure=measure,
        budgets=tuple(map(str, budgets)),
        order=QUANTITIES[cost].title,
        chosen=choice.chosen,
        best=choice.best,
        considered=tuple(
            Considered(
                name=one.name,
                mean=one.quality.mean,
                low=one.quality.low,
                high=one.quality.high,
                cost=one.amounts.get(cost),
                amounts=amounts_of(one, budgets),
                met=one.met(budgets),
                front=on_front.get(one.name, ""),
                rival=one.name in choice.rivals,
            )
            for one in found
        ),
        misses=tuple(misses(found, budgets)) if choice.chosen is None else (),
        confirmation=confirmation(choice.chosen, found, budgets, cost, measure, held, record.seed),
        stages=tuple(stage(cell, infos[cell.system], measure, record.seed) for cell in cells),
        command=command_of(suite, infos[choice.chosen]) if choice.chosen else "",
        toml=toml_of(suite, infos[choice.chosen]) if choice.chosen else "",
    )


def check_measured(found: Sequence[Candidate], budgets: Sequence[Budget]) -> None:
    """UsageError where no system has the cost that a budget is on."""
    for budget in budgets:
        if all(one.amounts.get(budget.quantity) is None for one in found):
            raise UsageError(
                f"{budget.quantity} was not measured (or on too few samples): run without "
                "--no-latency, or leave that budget out"
            )


def amounts_of(candidate: Candidate, budgets: Sequence[Budget]) -> dict[str, str]:
    """What the table shows of its costs, by title: those of the budgets, then the usual ones."""
    names = dict.fromkeys([*(budget.quantity for budget in budgets), *SHOWN])
    texts = {}
    for name in names:
        quantity, amount = QUANTITIES[name], candidate.amounts.get(name)
        if amount is None:
            texts[quantity.title] = NONE
        elif amount.low == amount.high:
            texts[quantity.title] = quantity.shown(amount.value)
        else:
            low, high = quantity.shown(amount.low), quantity.shown(amount.high)
            texts[quantity.title] = f"{quantity.shown(amount.value)} [{low}, {high}]"
    return texts


def misses(found: Sequence[Candidate], budgets: Sequence[Budget]) -> list[tuple[str, str]]:
    """Of each system by how much it fails, the nearest first: by the largest ratio to a limit."""
    rows = []
    for one in found:
        far, texts = 1.0, []
        for budget in budgets:
            amount = one.amounts.get(budget.quantity)
            if budget.met(amount) in ("yes", "unsure"):
                continue
            if amount is None:
                far, text = np.inf, f"{budget.quantity} was not measured"
            else:
                ratio = max(amount.value / budget.limit, budget.limit / amount.value)
                far, text = max(far, ratio), (
                    f"{QUANTITIES[budget.quantity].title} "
                    f"{QUANTITIES[budget.quantity].shown(amount.value)}, {ratio:.2f} x the limit"
                    f" of {budget}"
                )  # fmt: skip
            texts.append(text)
        rows.append((far, -one.quality.mean, one.name, "; ".join(texts)))
    return [(name, text) for _, _, name, text in sorted(rows)]


def confirmation(
    chosen: str | None,
    found: Sequence[Candidate],
    budgets: Sequence[Budget],
    cost: str,
    measure: str,
    held: Record | None,
    seed: int,
) -> Confirmation | None:
    """The chosen system on the other split's queries, else by cross-validation."""
    if chosen is None:
        return None
    if held is None:
        crossed = cross_validated(found, budgets, cost, chosen, seed)
        return None if crossed is None else _shown(crossed, None)
    values = {
        cell.system: np.array(cell.values[measure]) for cell in held.cells if cell.error is None
    }
    if chosen not in values:
        raise UsageError(f"{chosen} did not finish on the queries to confirm on")
    (suite,) = held.suites
    how = f"{suite.name} ({suite.split})"
    return _shown(confirmed(chosen, found, values, how, seed), suite.queries)


def _shown(found: Optimism, queries: int | None) -> Confirmation:
    return Confirmation(
        how=found.how,
        queries=queries,
        seen=found.seen,
        held=found.held,
        difference=found.difference,
        stable=found.stable,
        rivals=found.rivals,
    )


def stage(cell: Cell, info: SystemInfo, measure: str, seed: int) -> Stage:
    """What the stages of one system give and take."""
    values = np.array(cell.values[measure])
    first = np.array(cell.first_stage[measure]) if measure in cell.first_stage else None
    rng = np.random.default_rng(seed)
    return Stage(
        name=cell.system,
        first=None if first is None else float(first.mean()),
        adds=None if first is None else paired_bootstrap(values, first, rng),
        ceiling=float(np.mean(cell.ceiling[measure])) if measure in cell.ceiling else None,
        depth=info.rerank_depth,
        costs={
            name: duration(ns)
            for name in STAGES
            if cell.cost and (ns := percentile(cell.cost, name, 50)) is not None
        },
    )


def command_of(suite: SuiteInfo, info: SystemInfo) -> str:
    """The command that runs the system; a parameter that is None goes as null."""
    given = {
        **info.params,
        **{f"reranker.{key}": value for key, value in info.reranker_params.items()},
        **({"rerank_depth": info.rerank_depth} if info.reranker else {}),
    }
    names = "+".join(filter(None, (info.retriever, info.reranker)))
    query = "&".join(
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items()
    )
    spec = f"{names}?{query}" if query else names
    return shlex.join(
        ["python", "-m", "bench", "run", "--suite", suite.name, "--split", suite.split,
         "--system", spec]
    )  # fmt: skip


def _spec(name: str, given: Mapping[str, object]) -> str:
    """A name with its parameters as the command line takes them."""
    parts = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items()]
    return f"{name}?{'&'.join(parts)}" if parts else name


def toml_of(suite: SuiteInfo, info: SystemInfo) -> str:
    """An experiment file of the one system. TOML has no null: such parameters go with the name."""
    lines = [f"suites = [{_toml(suite.name)}]", "", "[[system]]", f"name = {_toml(info.name)}"]
    lines += _part("retriever", "params", info.retriever, info.params)
    if info.reranker is not None:
        lines += _part("reranker", "reranker_params", info.reranker, info.reranker_params)
        lines.append(f"rerank_depth = {info.rerank_depth}")
    return "\n".join(lines) + "\n"


def _part(role: str, key: str, name: str, params: Mapping[str, object]) -> list[str]:
    """The lines of a retriever or a reranker."""
    registry = {"retriever": RETRIEVERS, "reranker": RERANKERS}[role]
    usual = parameters(registry.load(name)) if name in registry.builtins else {}
    nulls = {
        key: value
        for key, value in params.items()
        if value is None and usual.get(key, "") is not None
    }
    table = _table({key: value for key, value in params.items() if value is not None})
    return [f"{role} = {_toml(_spec(name, nulls))}", *([f"{key} = {table}"] if table else [])]


def _table(values: Mapping[str, object]) -> str:
    inside = ", ".join(f"{_key(key)} = {_toml(value)}" for key, value in values.items())
    return f"{{ {inside} }}" if inside else ""


def _key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _toml(key)


def _toml(value: object) -> str:
    """A value of JSON as TOML writes it; json's strings and numbers are TOML's too."""
    if isinstance(value, Mapping):
        return _table(value) or "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f") if isinstance(value, str) else text
