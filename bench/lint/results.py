"""All that is checked of a result: at the end of a run, and later from its folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.lint.cache import CACHE
from bench.lint.findings import Finding, found
from bench.lint.rankings import RANKINGS, Rankings
from bench.lint.record import FILE, RECORD, Key, Recorded, task_of
from bench.lint.run_file import LINES, of_suite, place, read_lines, whole_rows
from bench.lint.suite import SUITE, Linted
from encoders.cache import cache_folder
from qrels.data import Run, Suite
from qrels.trec import RunRows
from reports.record import Record, SuiteInfo, load


def after_run(
    record: Record, suites: Sequence[Suite], runs: Mapping[Key, Run]
) -> tuple[Finding, ...]:
    """What a run that is just finished has to say of itself, with no further retrieval."""
    table = {(suite.name, suite.split): suite for suite in suites}
    rankings = {}
    for key, run in runs.items():
        suite = table[key[:2]]
        if suite.task == "answers":
            continue
        rankings[key] = Rankings(
            key[2], suite.queries.query_ids, run, suite.qrels, suite.measures, len(suite.corpus)
        )
    findings = of_record(Recorded(record, rankings, table))
    for one in rankings.values():
        findings += found(RANKINGS, one)
    for suite in (one for one in suites if one.task == "retrieval"):
        findings += found([check for check in SUITE if check.code in QUICK], Linted(suite, {}))
    return tuple(findings + found(CACHE[:1], cache_folder()))


def of_record(recorded: Recorded) -> list[Finding]:
    """The checks of a record; of answers those alone that look at nothing but values."""
    return found(RECORD, task_of(recorded, "retrieval")) + found(
        [check for check in RECORD if check.code in OF_VALUES], task_of(recorded, "answers")
    )


OF_VALUES = ("V3", "V4", "V5", "V7", "V13")

QUICK = ("S2", "S6", "S10", "S11")
"""Checks of a suite that look at no more than relevant documents."""


def lint_record(path: Path, suites: Mapping[tuple[str, str], Suite]) -> list[Finding]:
    """Everything found in a record, its run files, those of its suites at hand, and the cache.

    suites: by name and split, as they are now.
    """
    file = path / "record.json" if path.is_dir() else path
    findings = found(FILE, file)
    if findings:
        return findings
    recorded = Recorded(load(file), {}, suites, file.parent)
    rankings: dict[Key, Rankings] = {}
    for info, cells in task_of(recorded, "retrieval").measured():
        suite = recorded.suite(info)
        rows = {}
        for cell in cells:
            if cell.run_file and (file.parent / cell.run_file).is_file():
                lines = read_lines(file.parent / cell.run_file, cell.system)
                lines = lines._replace(known_queries=frozenset(info.query_ids))
                if suite is not None:
                    lines = lines._replace(known_docs=frozenset(suite.corpus.doc_ids))
                findings += found(LINES, lines)
                rows[cell.system] = whole_rows(lines)
        for name, one in _rankings(info, suite, rows).items():
            findings += found(RANKINGS, one)
            rankings[info.name, info.split, name] = one
        if suite is not None:
            findings += found(SUITE, Linted(suite, {}))
    findings += of_record(recorded._replace(rankings=rankings))
    return findings + found(CACHE, cache_folder())


def _rankings(
    info: SuiteInfo, suite: Suite | None, rows: Mapping[str, RunRows]
) -> dict[str, Rankings]:
    """The rows of each system as rankings, all over the same positions."""
    if suite is not None:
        return {name: of_suite(own, name, suite) for name, own in rows.items()}
    names = dict.fromkeys(doc_id for own in rows.values() for doc_id in own.doc_ids)
    docs = {doc_id: i for i, doc_id in enumerate(names)}
    return {
        name: Rankings(
            name, info.query_ids, place(own, info.query_ids, docs), None, info.measures,
            info.documents,
        )
        for name, own in rows.items()
    }  # fmt: skip
