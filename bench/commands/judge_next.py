"""`bench judge-next`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.common import FINE, positive, say
from qrels.errors import DataError, UsageError

if TYPE_CHECKING:  # at run time these are imported by what needs them
    from qrels.data import Run, Suite

HELP = "which documents to judge next, as a sheet to fill in, and its grades merged"


def arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("source", nargs="*", type=Path, metavar="RECORD|RUN", help="a result folder, or run files")
    add("--suite", metavar="NAME|FOLDER", help="the suite; of a result folder by default its own")
    add("--split", help="which qrels")
    add("--system", action="append", metavar="NAME", help="of a result folder; repeatable")
    add("--measure", metavar="nDCG@10", help="by default the suite's first nDCG")
    add("--max-grade", type=positive, metavar="N", help="by default the largest of the qrels")
    add("--n", type=positive, default=50, help="how many documents; 50 by default")
    add("--out", type=Path, metavar="FILE", help="where the sheet, or the merged qrels, go")
    add("--merge", type=Path, metavar="FILE.tsv", help="add the grades of a filled-in sheet")
    add("--qrels", type=Path, metavar="FILE", help="to add them to; in place without --out")
    add("--replace", action="store_true", help="let the sheet's grades replace others")


def main(options: argparse.Namespace) -> int:
    """`bench judge-next`: the sheet, or with --merge the qrels."""
    if options.merge:
        return merged(options)
    if not options.source:
        raise UsageError("whose documents? give a result folder or run files, or --merge FILE")
    from bench.judge_next import judge_next, sheet
    from bench.lint.rankings import headline
    from bench.metrics import parse_measure
    from qrels.files import write_whole

    suite, runs = gathered(options)
    measure = parse_measure(options.measure) if options.measure else headline(suite.measures)
    found = judge_next(runs, suite.qrels, measure, options.max_grade)
    chosen = found.holes[: options.n]
    if not chosen:
        say(f"every document that counts for {measure} is judged")
        return FINE
    text = sheet(suite, chosen)
    if options.out:
        write_whole(options.out, text)
    else:
        print(text, end="")
    if found.pairs:
        say(
            f"{len(found.open_pairs)} of {found.pairs} pairs of systems could still change places "
            f"on {measure}"
        )
    say(f"{len(chosen)} of {len(found.holes):,} documents to judge, those that settle most first")
    return FINE


def gathered(options: argparse.Namespace) -> "tuple[Suite, dict[str, Run]]":
    """The suite and the runs by name; UsageError where they do not belong together."""
    first = options.source[0]
    if (first / "record.json").is_file() or first.suffix == ".json":
        if len(options.source) > 1:
            raise UsageError("give one result folder, or run files")
        return of_record(first, options)
    if not options.suite:
        raise UsageError("run files need --suite NAME, which has the queries and the documents")
    from qrels.suites import load_suite

    suite = load_suite(options.suite, options.split)
    names = [path.name for path in options.source]
    if len(set(names)) < len(names):
        names = [str(path) for path in options.source]
    return suite, {n: read(suite, p) for n, p in zip(names, options.source, strict=True)}


def of_record(path: Path, options: argparse.Namespace) -> "tuple[Suite, dict[str, Run]]":
    """The finished systems of a record with run files, over the suite that was measured."""
    from dataclasses import replace

    from qrels.errors import unknown
    from qrels.suites import load_suite, shipped
    from reports.record import RecordError, load

    folder = path if path.is_dir() else path.parent
    try:
        record = load(path)
    except RecordError as error:
        raise DataError(str(error)) from error
    infos = {
        (info.name, info.split): info
        for info in record.suites
        if options.split in (None, info.split)
        and (options.suite in (None, info.name) or options.suite not in shipped())
    }
    if len(infos) != 1:
        held = ", ".join(f"{info.name} ({info.split})" for info in record.suites)
        raise UsageError(f"{path} holds {held}; choose one by --suite and --split")
    (info,) = infos.values()
    if not options.suite and info.name not in shipped():
        raise UsageError(f"{info.name} is not a shipped suite; give its folder by --suite FOLDER")
    suite = load_suite(options.suite or info.name, info.split)
    if suite.digest != info.digest:
        raise UsageError(f"{path}: {info.name} ({info.split}) is not the suite that was measured")
    files = {
        cell.system: folder / cell.run_file
        for cell in record.cells
        if (cell.suite, cell.split) == (info.name, info.split) and cell.run_file
    }
    for name in options.system or ():
        if name not in files:
            raise unknown("system", name, files)
    runs = {n: read(suite, p) for n, p in files.items() if n in (options.system or files)}
    if not runs:
        raise UsageError(f"{path} holds no run files")
    return replace(suite, measures=info.measures), runs


def read(suite: "Suite", path: Path) -> "Run":
    """A run file over the suite; DataError for a document that the suite lacks."""
    from bench.lint.run_file import of_suite
    from qrels.trec import read_run

    rows = read_run(path)
    known = {*suite.qrels.extra_doc_ids}
    for doc_id in rows.doc_ids:
        if doc_id not in suite.corpus.positions and doc_id not in known:
            raise DataError(f"{path}: document {doc_id!r} is not in the suite {suite.name!r}")
    return of_suite(rows, path.name, suite).run


def merged(options: argparse.Namespace) -> int:
    """`bench judge-next --merge`: the qrels with the sheet's grades, whole or not at all."""
    from bench.merge_grades import merge
    from qrels.suites import load_suite, splits
    from qrels.trec import read_judgements

    if not options.qrels:
        raise UsageError("--merge needs --qrels FILE, the judgements to add to")
    beside = options.qrels.parent.parent
    own = {path.resolve(): split for split, path in splits(beside).items()}
    split = own.get(options.qrels.resolve()) if any(beside.glob("corpus.jsonl*")) else None
    suite = None
    if options.suite or split:
        suite = load_suite(options.suite or beside, options.split or split)
    result = merge(
        options.merge,
        read_judgements(options.qrels),
        None if suite is None else suite.queries.query_ids,
        None if suite is None else {*suite.corpus.doc_ids, *suite.qrels.extra_doc_ids},
        max_grade=options.max_grade,
        replace=options.replace,
    )
    target = options.out or options.qrels
    result.write(target)
    unchecked = "" if suite else "; documents were not looked up, --suite does that"
    print(
        f"{target}: {result.added} judgements added, {result.replaced} replaced; "
        f"{result.empty} rows have no grade yet{unchecked}"
    )
    return FINE
