"""`bench lint`."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.common import FINE, WRONG
from qrels.errors import UsageError

if TYPE_CHECKING:  # at run time these are imported by what needs them
    from bench.lint import Finding
    from qrels.data import Suite

HELP = "check a run file, a result or a suite, and say what to do about it"

EVERY = "every check"


def arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "target",
        nargs="?",
        metavar="RUN|RECORD|SUITE",
        help="a TREC run file, a result folder or its record.json, or a suite",
    )
    add("--suite", metavar="NAME|FOLDER", help="what a run file or a record belongs to")
    add("--qrels", type=Path, metavar="FILE", help="judgements of a run file, instead of a suite")
    add("--split", help="one split; of a suite all of them by default")
    add(
        "--system",
        action="append",
        metavar="NAME",
        help="search a suite with these instead of its own; repeatable",
    )
    add(
        "--explain",
        nargs="?",
        const=EVERY,
        metavar="CODE",
        help="what a check looks for and what to do; of every check without a code",
    )


def main(options: argparse.Namespace) -> int:
    """`bench lint`: 2 where anything is an error."""
    from bench.lint import summary

    if options.explain:
        print(explained(options.explain))
        return FINE
    if options.target is None:
        raise UsageError("what to check? give a run file, a result folder or a suite")
    code = FINE
    for name, findings in checked(options):
        print(summary(name, findings))
        if any(found.level == "error" for found in findings):
            code = WRONG
    return code


def explained(wanted: str) -> str:
    """One check, or all of them: code, what it looks for, what to do."""
    from bench.lint import ALL
    from qrels.errors import unknown

    if wanted != EVERY and wanted.upper() not in ALL:
        raise unknown("check", wanted, ALL)
    chosen = ALL if wanted == EVERY else {wanted.upper(): ALL[wanted.upper()]}
    return "\n".join(
        f"{code:<4} {found.title}\n     {found.remedy}" for code, found in chosen.items()
    )


def checked(options: argparse.Namespace) -> "Iterator[tuple[str, Sequence[Finding]]]":
    """What was checked, by name, with what was found: one pair, or one a split of a suite."""
    target = Path(options.target)
    if target.suffix == ".json" or (target / "record.json").is_file():
        yield from checked_record(target, options)
    elif target.is_file():
        yield from checked_run(target, options)
    else:
        yield from checked_suite(options)


def checked_record(
    target: Path, options: argparse.Namespace
) -> "Iterator[tuple[str, Sequence[Finding]]]":
    from bench.lint import lint_record

    yield str(target), lint_record(target, suites_of(target, options))


def suites_of(target: Path, options: argparse.Namespace) -> "dict[tuple[str, str], Suite]":
    """The suites of a record that can be loaded: the shipped ones and --suite."""
    from qrels.suites import load_suite, shipped
    from reports.record import RecordError, load

    try:
        infos = load(target).suites
    except RecordError:  # a finding of its own
        return {}
    found = {}
    for info in infos:
        if options.suite or info.name in shipped():
            suite = load_suite(options.suite or info.name, info.split)
            found[suite.name, suite.split] = suite
    return found


def checked_run(
    target: Path, options: argparse.Namespace
) -> "Iterator[tuple[str, Sequence[Finding]]]":
    from bench.evaluate import DEFAULTS
    from bench.lint import lint_run
    from qrels.suites import load_suite
    from qrels.trec import read_judgements

    if options.suite and options.qrels:
        raise UsageError("give --suite or --qrels, not both")
    suite = load_suite(options.suite, options.split) if options.suite else None
    judgements = read_judgements(options.qrels) if options.qrels else None
    yield str(target), lint_run(target, suite, judgements, DEFAULTS if judgements else ())


def checked_suite(options: argparse.Namespace) -> "Iterator[tuple[str, Sequence[Finding]]]":
    from bench.lint import lint
    from qrels.suites import SETS, load_suite, shipped, splits

    name = options.target
    folder = SETS / name if name in shipped() else Path(name)
    found: list[str | None] = [*splits(folder)]
    for split in [options.split] if options.split else found or [None]:
        suite = load_suite(name, split)
        yield f"{suite.name} ({suite.split})", lint(suite, options.system)
