"""What `--against` names, and which systems of both sides are timed against each other.

It is the first of these that fits: an experiment file, a git revision of the project that the
user is in, a system written as a spec.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.config import Experiment, choose_systems, read_experiment
from bench.gate.latency import Pair, Side, Tree
from bench.plan import Plan, planned
from qrels.data import Suite
from qrels.errors import BenchError, UsageError
from qrels.suites import IRDS


@contextmanager
def pairs_against(against: str, experiment: Experiment) -> Iterator[list[Pair]]:
    """The pairs to time, with the code of a revision checked out until the end.

    experiment: the candidate, with systems None for those of each suite, and without suites for
    those of the baseline's file. Raises UsageError where the names do not fit together.
    """
    here = Tree(Path.cwd())
    if Path(against).suffix == ".toml" or Path(against).is_file():
        given = read_experiment(Path(against))
        shared = replace(
            given,
            suites=experiment.suites or given.suites,
            split=experiment.split or given.split,
            depth=experiment.depth or given.depth,
        )
        base = rankings(planned(shared))
        plan = rankings(planned(replace(shared, systems=experiment.systems)))
        yield paired(f"experiment {against}", here, base, plan)
        return
    if not experiment.suites:
        raise UsageError("what to time? give --suite NAME or --experiment FILE.toml")
    if commit := commit_of(against):
        plan = rankings(planned(experiment))
        with checked_out(commit, against) as tree:
            yield paired(f"revision {against} ({commit[:9]})", tree, plan, plan)
    else:
        base = as_plan(against, experiment)
        yield paired(f"system {against}", here, base, rankings(planned(experiment)))


def rankings(plan: Plan) -> Plan:
    """The part without generators, whose latency is not gated."""
    return [(suite, systems) for suite, systems in plan if suite.task == "retrieval"]


def paired(name: str, tree: Tree, base: Plan, plan: Plan) -> list[Pair]:
    """Each system of *plan* with that of *base* of its name, or the only one with the only one."""
    pairs = []
    for (suite, theirs), (_, ours) in zip(base, plan, strict=True):
        known = {system.name: system for system in theirs}
        for system in ours:
            lone = theirs[0] if len(theirs) == len(ours) == 1 else None
            other = known.get(system.name, lone)
            if other is None:
                raise UsageError(
                    f"system {system.name!r} has no counterpart in {name}, which has "
                    f"{', '.join(known)}; name one system on each side with --system"
                )
            old, new = Side(name, other, tree), Side("now", system, Tree(Path.cwd()))
            pairs.append(Pair(suite.name, suite.split, source(suite), suite.depth, old, new))
    return pairs


def source(suite: Suite) -> str:
    """What names *suite* for code of any revision, anywhere: its folder where it has one."""
    return str(suite.folder.resolve()) if suite.folder else f"{IRDS}{suite.name}"


def as_plan(against: str, experiment: Experiment) -> Plan:
    """The plan with the one system that *against* spells; UsageError where it is nothing known."""
    try:
        return rankings(planned(replace(experiment, systems=choose_systems([against], ()))))
    except BenchError as error:
        raise UsageError(
            f"--against {against!r} is no experiment file, no git revision here and no system: "
            f"{error}"
        ) from error


def commit_of(revision: str) -> str | None:
    """The commit that *revision* names in the repository of the working directory, if any."""
    found = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return found.stdout.strip() if found.returncode == 0 else None


@contextmanager
def checked_out(commit: str, name: str) -> Iterator[Tree]:
    """*commit* in a temporary git worktree, which is removed at the end.

    Raises UsageError where git cannot check it out, or where the working directory was not there.
    """
    top = git("rev-parse", "--show-toplevel").stdout.strip()
    prefix = git("rev-parse", "--show-prefix").stdout.strip()
    with tempfile.TemporaryDirectory(prefix="bench-against-") as folder:
        root = Path(folder).resolve() / Path(top).name
        try:
            added = git("-c", "core.hooksPath=/dev/null", "-C", top,
                        "worktree", "add", "--detach", "--quiet", str(root), commit)  # fmt: skip
            if added.returncode:
                raise UsageError(f"git cannot check out {name!r}: {last_line(added.stderr)}")
            if not (root / prefix).is_dir():
                raise UsageError(f"{name!r} has no folder {prefix}; run from one that it has")
            yield Tree(root / prefix, root, Path(top).resolve())
        finally:
            git("-C", top, "worktree", "remove", "--force", str(root))


def git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """What git answers; without git installed, a failure."""
    try:
        return subprocess.run(  # noqa: S603  our own arguments, no shell
            ["git", *arguments],  # noqa: S607
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        return subprocess.CompletedProcess(arguments, 127, "", str(error))


def last_line(text: str) -> str:
    return next(reversed(text.strip().splitlines()), "no reason given")
