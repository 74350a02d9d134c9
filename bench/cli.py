"""The command line: parse, call, print; a BenchError is one line and exit code 2."""

import argparse
import contextlib
import io
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qrels.errors import BenchError, UsageError

if TYPE_CHECKING:  # at run time these are imported by the command that needs them
    from bench.config import Experiment, System
    from qrels.data import Corpus, Suite
    from reports.record import Record

FINE, WRONG, SYSTEM_FAILED, INTERNAL, INTERRUPTED = 0, 2, 4, 70, 130

HYBRID = "hybrid"
"""What `search` takes for a suite that has it among its systems."""

DESCRIPTION = """\
Which retrieval configuration should I ship, and did today's change make it worse?"""

EPILOG = """\
examples:
  bench run --suite models
  bench run --suite path/to/beir/folder --system bm25 --system 'bm25?k1=1.2&b=0.75'
  bench search "small model for Italian speech" --suite models --filter 'downloads>=1000'
  bench evaluate qrels.txt run.trec.gz nDCG@10 RR@10

exit codes: 0 fine, 1 worse than the baseline, 2 wrong usage or data, 3 cannot tell,
            4 some system failed, 70 internal error, 130 interrupted"""


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    top = argparse.ArgumentParser(
        prog="bench",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _run(commands.add_parser("run", help="run systems on suites and write a report"))
    _list(commands.add_parser("list", help="names of suites, systems, retrievers, ..."))
    _evaluate(commands.add_parser("evaluate", help="measure a TREC run file against qrels"))
    _report(commands.add_parser("report", help="render the report of a result folder again"))
    _search(commands.add_parser("search", help="answer one query"))
    _lint(commands.add_parser("lint", help="check that a suite is fit to be quoted"))
    _index(
        commands.add_parser("index", help="build and save an index, so that search starts at once")
    )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    written = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(written)
    options.line = shlex.join(["python", "-m", "bench", *written])
    try:
        return COMMANDS[options.command](options)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        return FINE
    except OSError as error:  # a folder that may not be read, a disk that is full
        if error.filename is None:
            raise
        print(f"bench: {error.filename}: {error.strerror}", file=sys.stderr)
        return WRONG


def parse(written: Sequence[str]) -> argparse.Namespace:
    """The options; measures may also stand behind the options of `evaluate`."""
    top = parser()
    options, rest = top.parse_known_args(written)
    if rest and (options.command != "evaluate" or any(word.startswith("-") for word in rest)):
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.measures = [*options.measures, *rest]
    return options


def entry() -> None:
    """`bench` on the command line; an internal error keeps its traceback and exits with 70."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is done is kept
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode
    sys.path.insert(0, str(Path.cwd()))  # a plug-in beside the user, as `python -m bench` finds it
    try:
        code = main()
    except Exception:
        import traceback

        traceback.print_exc()
        code = INTERNAL
    sys.exit(code)


def _run(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    _suite(command, action="append", help="a shipped suite, a BEIR folder, or irds:ID; repeatable")
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
    add("--depth", type=_positive, help="documents a run keeps per query")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where models run")
    add("--threads", type=_positive, help="threads while timing; all cores by default")
    add("--out", type=Path, metavar="DIR", help="instead of results/NAME-TIME")
    add("--no-latency", action="store_true", help="quality only")
    add("--no-text", action="store_true", help="leave texts of the data out of the report")
    add(
        "--dry-run",
        action="store_true",
        help="check files and names, show the plan, run nothing",
    )


def _suite(command: argparse.ArgumentParser, action: str = "store", help: str = "") -> None:  # noqa: A002
    command.add_argument("--suite", action=action, metavar="NAME|FOLDER", help=help)


def run(options: argparse.Namespace) -> int:
    """`bench run`."""
    from bench.latency import Protocol
    from bench.output import whole_folder
    from bench.plan import planned, slug
    from bench.runner import Options, Progress, record_of, run_experiment

    experiment = _experiment(options)
    _check_device(options.device)
    plan = planned(experiment)
    if options.dry_run:
        print("\n".join(_plan_lines(plan)))
        return FINE
    protocol = Protocol(threads=options.threads, device=options.device)
    how = Options(
        protocol=None if options.no_latency else protocol,
        device=options.device,
        with_text=not options.no_text,
        command=options.line,
    )
    name = slug(experiment.name or "+".join(suite.name for suite, _ in plan))
    target = options.out or Path("results", f"{name}-{datetime.now():%Y%m%d-%H%M%S}")
    done, code = Progress(), FINE
    with whole_folder(target) as folder:
        try:
            record = run_experiment(experiment, folder, how, _say, done, plan)
        except KeyboardInterrupt:
            if not done.cells:
                raise
            record, code = record_of(experiment, how, done, "partial"), INTERRUPTED
        _write(record, folder)
    print(leaderboard_of(record, target))
    if code == INTERRUPTED:
        _say(f"bench: interrupted; what was finished is in {target}")
    elif any(cell.error for cell in record.cells):
        code = SYSTEM_FAILED
    return code


def _plan_lines(plan: Sequence[tuple["Suite", list["System"]]]) -> list[str]:
    """What `--dry-run` shows: each suite and, beneath it, its systems."""
    lines = []
    for suite, systems in plan:
        lines.append(
            f"{suite.name} ({suite.split}): {len(suite.corpus):,} documents, "
            f"{len(suite.queries):,} queries, depth {suite.depth}, {' '.join(suite.measures)}"
        )
        lines += [f"  {system.name}" for system in systems]
    return lines


def _experiment(options: argparse.Namespace) -> "Experiment":
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


def _write(record: "Record", folder: Path) -> None:
    """The record, its values per query, the plots and the report, into *folder*."""
    from reports.record import save

    save(record, folder)
    _render(record, folder)


def _render(record: "Record", folder: Path) -> None:
    """The plots and the report, each file whole or not at all."""
    from reports.files import write
    from reports.markdown import render
    from reports.plots import draw

    write(folder / "report.md", render(record, draw(record, folder)).encode())


def leaderboard_of(record: "Record", folder: Path) -> str:
    """What `run` and `report` print last."""
    from reports.table import leaderboard

    return f"{leaderboard(record)}\n\nreport: {folder / 'report.md'}"


def _list(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "section", nargs="?", choices=("suites", "systems", "retrievers", "rerankers", "measures")
    )


def list_names(options: argparse.Namespace) -> int:
    """`bench list`."""
    from bench.listing import listing

    print(listing(options.section))
    return FINE


def _evaluate(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("qrels", type=Path, metavar="QRELS", help="TREC or BEIR qrels, plain or .gz")
    add("run", type=Path, metavar="RUN", help="TREC run, plain or .gz")
    add("measures", nargs="*", metavar="MEASURE", help="such as nDCG@10 'AP(rel=2)@100' recall_100")
    add("--per-query", action="store_true", help="a line a query as well")
    add("--format", choices=("table", "json"), default="table")


def evaluate(options: argparse.Namespace) -> int:
    """`bench evaluate`."""
    from bench.evaluate import evaluate_files, format_json, format_table

    result = evaluate_files(options.qrels, options.run, options.measures)
    form = {"table": format_table, "json": format_json}[options.format]
    print(form(result, options.per_query))
    return FINE


def _report(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, metavar="DIR", help="a result folder")


def report(options: argparse.Namespace) -> int:
    """`bench report`."""
    from reports.record import RecordError, load

    folder = options.folder.parent if options.folder.is_file() else options.folder
    try:
        record = load(folder)
    except RecordError as error:
        raise UsageError(str(error)) from error
    _render(record, folder)
    print(leaderboard_of(record, folder))
    return FINE


def _target(command: argparse.ArgumentParser) -> None:
    """The options that say what is searched and by which system."""
    add = command.add_argument
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("--suite", metavar="NAME|FOLDER", help="a shipped suite or a BEIR folder")
    where.add_argument("--corpus", type=Path, metavar="FILE", help="a .csv or .jsonl file")
    add(
        "--system",
        metavar="NAME",
        help="retriever[+reranker][?key=value&...]; by default hybrid, or the file's own vectors",
    )
    add("--rerank", metavar="NAME", help="a reranker for the system's best documents")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where models run")


def _search(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("query", metavar="QUERY")
    _target(command)
    add("--k", type=_positive, default=10, help="how many to show (10)")
    add("--depth", type=_positive, default=100, help="how many --sort reorders (100)")
    add(
        "--filter",
        action="append",
        default=[],
        metavar="CONDITION",
        help="such as 'license=mit', 'downloads>=1000', 'language:it'; repeatable, all must hold",
    )
    add(
        "--sort",
        default="relevance",
        metavar="COLUMN",
        help="relevance, or a numeric or date column such as downloads, likes, created_at",
    )


def _index(command: argparse.ArgumentParser) -> None:
    _target(command)


def search(options: argparse.Namespace) -> int:
    """`bench search`."""
    from bench.search import format_hits, index_folder, open_index
    from bench.search import search as find
    from encoders.base import device_scope
    from retrievers.filters import parse_filter

    _check_device(options.device)
    where = [parse_filter(text) for text in options.filter]
    corpus, digest, system = _searched(options)
    with device_scope(options.device):
        built = open_index(system, corpus, index_folder(system, digest))
        hits = find(built, options.query, options.k, options.depth, where, options.sort)
    print(format_hits(hits, options.sort))
    return FINE


def build_index(options: argparse.Namespace) -> int:
    """`bench index`."""
    from bench.search import index_folder, save_index
    from bench.system import index, make
    from encoders.base import device_scope

    _check_device(options.device)
    corpus, digest, system = _searched(options)
    folder = index_folder(system, digest)
    with device_scope(options.device):
        built = make(system, corpus)
        _say(f"indexing {len(corpus):,} documents for {system.name}")
        index(built)
        size = save_index(built, folder)
    print(f"{system.name}: {size / 1e6:.1f} MB in {folder}")
    return FINE


def _lint(command: argparse.ArgumentParser) -> None:
    command.add_argument("suite", metavar="SUITE", help="a shipped suite, a BEIR folder, irds:ID")
    command.add_argument("--split", help="one split; all of them by default")
    command.add_argument(
        "--system", action="append", metavar="NAME", help="instead of the suite's; repeatable"
    )


def lint_suite(options: argparse.Namespace) -> int:
    """`bench lint`."""
    from bench.lint import format_findings, lint
    from qrels.suites import SETS, load_suite, shipped, splits

    folder = SETS / options.suite if options.suite in shipped() else Path(options.suite)
    found: list[str | None] = [*splits(folder)]
    wanted = [options.split] if options.split else found or [None]
    code = FINE
    for split in wanted:
        suite = load_suite(options.suite, split)
        findings = lint(suite, options.system)
        print(format_findings(suite, findings))
        if any(found.level == "error" for found in findings):
            code = WRONG
    return code


def _searched(options: argparse.Namespace) -> "tuple[Corpus, str, System]":
    """Corpus, its digest and the system that --suite or --corpus, --system and --rerank name."""
    from dataclasses import replace

    from bench.config import parse_system
    from bench.search import plain_corpus
    from qrels.suites import load_suite

    if options.corpus is not None:
        corpus, digest, default = plain_corpus(options.corpus)
    else:
        suite = load_suite(options.suite)
        corpus, digest = suite.corpus, suite.digest
        default = parse_system(HYBRID if HYBRID in suite.systems else suite.systems[0])
    system = parse_system(options.system) if options.system else default
    if options.rerank and system.reranker:
        raise UsageError(f"{system.name} has a reranker already; give --rerank or that, not both")
    if options.rerank:
        name = f"{system.name}+{options.rerank}"
        system = replace(system, name=name, reranker=options.rerank, reranker_params={})
    return corpus, digest, system


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "run": run,
    "list": list_names,
    "evaluate": evaluate,
    "report": report,
    "search": search,
    "index": build_index,
    "lint": lint_suite,
}


def _check_device(device: str) -> None:
    """UsageError where CUDA is asked for and torch sees none."""
    if device == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        raise UsageError(f"--device {device}: torch sees no CUDA device here; use --device cpu")


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 1")
    return int(text)


def _say(line: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # whoever read along has gone; the work goes on
        print(line, file=sys.stderr, flush=True)
