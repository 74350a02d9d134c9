"""`bench run`."""

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.common import (
    FINE,
    INTERRUPTED,
    SYSTEM_FAILED,
    check_device,
    positive,
    say,
    size,
)
from bench.commands.report import closing_lines, write_result
from qrels.errors import UsageError

if TYPE_CHECKING:  # at run time these are imported by the command that needs them
    from bench.config import Experiment, System
    from qrels.data import Suite

HELP = "run systems on suites and write a report"


def arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--suite",
        action="append",
        metavar="NAME|FOLDER",
        help="a shipped suite, a BEIR folder, or irds:ID; repeatable",
    )
    add("--experiment", type=Path, metavar="FILE.toml", help="suites and systems to run")
    add(
        "--system",
        action="append",
        metavar="NAME",
        default=[],
        help="a system of the experiment, or retriever[+reranker][?key=value&...]; repeatable",
    )
    add("--split", help="which qrels, `test` for most suites")
    add("--measure", action="append", metavar="nDCG@10", help="instead of the suite's; repeatable")
    add("--depth", type=positive, help="documents a run keeps per query")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where models run")
    add("--threads", type=positive, help="threads while timing; all cores by default")
    add("--out", type=Path, metavar="DIR", help="instead of results/NAME-TIME")
    add(
        "--timeout",
        type=positive,
        metavar="SECONDS",
        help="stop a system that takes longer on a suite; it fails, the others finish",
    )
    add("--fresh", action="store_true", help="run anew what an interrupted run had finished")
    add(
        "--jobs",
        type=positive,
        default=1,
        metavar="N",
        help="make rankings in N processes at a time; latency is measured one system at a time",
    )
    add(
        "--memory",
        type=size,
        metavar="SIZE",
        help="such as 8GB: refuse what needs more, stop what takes more all the same",
    )
    add(
        "--no-cache",
        action="store_true",
        help="make everything anew; without it rankings and embeddings that are kept from an "
        "earlier run are used (cost is measured anew each time)",
    )
    add("--no-latency", action="store_true", help="quality only")
    add("--no-text", action="store_true", help="leave texts of the data out of the report")
    add(
        "--dry-run",
        action="store_true",
        help="check files and names, show the plan, run nothing",
    )


def main(options: argparse.Namespace) -> int:
    """`bench run`."""
    from bench.caches import empty_cache, keep_to_limit

    with empty_cache() if options.no_cache else keep_to_limit(say):
        return run(options)


def run(options: argparse.Namespace) -> int:
    """`bench run` with the cache folder of the scope."""
    from bench.journal import experiment_key, journal
    from bench.latency import Protocol
    from bench.memory import check_plan
    from bench.output import whole_folder
    from bench.plan import planned, slug
    from bench.runner import Options, Progress, record_of, run_experiment

    experiment = experiment_of(options)
    check_device(options.device)
    plan = planned(experiment)
    if options.dry_run:
        print("\n".join(plan_lines(plan)))
        return FINE
    say(check_plan(plan, options.memory, options.jobs))
    protocol = Protocol(threads=options.threads, device=options.device, memory=options.memory)
    how = Options(
        protocol=None if options.no_latency else protocol,
        device=options.device,
        with_text=not options.no_text,
        command=options.line,
        timeout=options.timeout,
        isolate=True,
        cache=True,
        jobs=options.jobs,
        memory=options.memory,
    )
    name = slug(experiment.name or "+".join(suite.name for suite, _ in plan))
    target = options.out or Path("results", f"{name}-{datetime.now():%Y%m%d-%H%M%S}")
    done, code = Progress(), FINE
    key = experiment_key(plan, experiment.seed, {"device": how.device, "cost": how.protocol})
    with journal(key, options.fresh, say) as kept:
        with whole_folder(target) as folder:
            try:
                record = run_experiment(experiment, folder, how, say, done, plan, kept)
                write_result(record, folder)
            except KeyboardInterrupt:
                if not done.cells:
                    raise
                record, code = record_of(experiment, how, done, "partial"), INTERRUPTED
                write_result(record, folder)
        if code == FINE:
            kept.remove()
    print(closing_lines(record, target))
    if code == INTERRUPTED:
        say(f"bench: interrupted; what was finished is in {target}")
    elif any(cell.error or cell.cost_error for cell in record.cells):
        code = SYSTEM_FAILED
    return code


def experiment_of(options: argparse.Namespace) -> "Experiment":
    """The experiment that file and options describe together; options win."""
    from dataclasses import replace

    from bench.config import Experiment, choose_systems, read_experiment

    if options.experiment is None:
        if not options.suite:
            raise UsageError(
                "what to run? give --suite NAME (see `bench list suites`) or --experiment FILE"
            )
        found = Experiment(suites=options.suite)
    else:
        found = read_experiment(options.experiment)
        found = replace(found, suites=options.suite or found.suites)
    if options.system:
        found = replace(found, systems=choose_systems(options.system, found.systems or ()))
    return replace(
        found,
        split=options.split or found.split,
        measures=options.measure or found.measures,
        depth=options.depth or found.depth,
    )


def plan_lines(plan: Sequence[tuple["Suite", list["System"]]]) -> list[str]:
    """What `--dry-run` shows: each suite and, beneath it, its systems with their peak memory."""
    from bench.memory import facts_of, peak_bytes, shown

    lines = []
    for suite, systems in plan:
        lines.append(
            f"{suite.name} ({suite.split}): {len(suite.corpus):,} documents, "
            f"{len(suite.queries):,} queries, depth {suite.depth}, {' '.join(suite.measures)}"
        )
        lines += [
            f"  {system.name}, {shown(peak_bytes(system, facts_of(suite)))}" for system in systems
        ]
    return lines
