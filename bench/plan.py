"""What will run: suites loaded, systems named, everything wrong found before the first cell."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bench.about import system_info
from bench.config import Experiment, System, choose_systems
from bench.metrics import Measure, is_of_answers, named, parse_measure
from bench.system import make
from bench.tasks import Task, tasks
from qrels.data import Suite
from qrels.errors import UsageError
from qrels.suites import load_suite

Plan = Sequence[Task]

SPACE = re.compile(r"[ \t\n\r\f\v]|^\ufeff")
"""What separates the columns of a TREC file, and a BOM, which its start would lose."""

LONGEST = 80
"""Bytes of a name in a file's name, which joins three and may have 255."""


def spaced_id(suite: Suite) -> str | None:
    """The first id that a TREC file cannot carry, None where all of them fit."""
    return next(filter(SPACE.search, (*suite.queries.query_ids, *suite.corpus.doc_ids)), None)


def planned(experiment: Experiment) -> Plan:
    """Each suite, loaded, with the systems to run on it; wrong names are found here."""
    if isinstance(experiment.suites, str):
        raise UsageError(f"suites is {experiment.suites!r}; expected a list of suites")
    plan = []
    for item in experiment.suites:
        loaded = item if isinstance(item, Suite) else load_suite(item, experiment.split)
        systems = (
            choose_systems(loaded.systems, ())
            if experiment.systems is None
            else list(experiment.systems)
        )
        for system in systems:
            if not isinstance(system, System):
                raise UsageError(f"{system!r} is not a System; `parse_system` makes one of a name")
        for suite, mine in tasks(loaded, systems, isinstance(item, Suite)):
            for system in mine:
                make(system, suite.corpus)
                system_info(system)  # names inside parameters: fused retrievers, encoders
            check_names("systems", [system.name for system in mine])
            plan.append((adjusted(suite, experiment), mine))
    check_names("suites", [f"{suite.name} {suite.split}" for suite, _ in plan])
    return plan


def adjusted(suite: Suite, experiment: Experiment) -> Suite:
    """The suite with the experiment's measures and depth where it names some, measures in full.

    Of the measures it takes those that fit its task. A binary measure without a relevance level
    of its own gets the suite's; Judged@k goes with every nDCG@k.
    """
    of_answers = suite.task == "answers"
    fit = [text for text in experiment.measures or () if is_of_answers(text) == of_answers]
    names = [named(text, suite.rules.relevance_level) for text in fit or suite.measures]
    if not of_answers:
        asked = map(parse_measure, names)
        names += [str(Measure("Judged", one.cutoff)) for one in asked if one.name == "nDCG"]
    return replace(
        suite, measures=list(dict.fromkeys(names)), depth=experiment.depth or suite.depth
    )


def check_names(kind: str, names: Sequence[str]) -> None:
    """UsageError for two names that would write to the same files."""
    seen: dict[str, str] = {}
    for name in names:
        key = slug(name).casefold()  # some file systems do not tell A from a
        if key in seen:
            other = seen[key]
            raise UsageError(f"{kind} {other!r} and {name!r} would write to the same files")
        seen[key] = name


def cautions(suite: Suite, folder: Path | None) -> Iterator[str]:
    """What a user should know of the plan before it runs."""
    for name in suite.measures if suite.task == "retrieval" else ():
        if (parse_measure(name).cutoff or 0) > suite.depth:
            yield f"note: {name} is measured on rankings of depth {suite.depth} only"
    if folder and (spaced := spaced_id(suite)) is not None:
        yield f"note: no run files; TREC's format cannot carry the id {spaced!r}"


def slug(name: str) -> str:
    """*name* as part of a file name: what is not a letter, digit, . _ - becomes _; never long."""
    short = re.sub(r"[^\w.-]+", "_", name).strip("._") or "_"
    if len(short.encode()) <= LONGEST:
        return short
    return f"{short[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
