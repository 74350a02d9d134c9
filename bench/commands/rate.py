"""`bench rate`."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.common import FINE, check_device, positive, say, whole
from qrels.errors import UsageError

if TYPE_CHECKING:
    from bench.answers.files import AnswerRow
    from reports.record import SuiteInfo

HELP = "answers rated by people or by a language model, blind, and how far they agree"

SCALE = re.compile(r"(-?\d{1,4})-(-?\d{1,4})")


def arguments(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    make = actions.add_parser("make", help="a sheet of answers, systems hidden, and its key")
    judge = actions.add_parser("judge", help="fill in a sheet by a language model")
    read = actions.add_parser("read", help="the ratings of filled-in sheets")

    add = make.add_argument
    add("source", nargs="+", type=Path, metavar="RECORD|ANSWERS.jsonl",
        help="a result folder, or files of answers")  # fmt: skip
    add("--system", action="append", default=[], metavar="NAME",
        help="repeatable; by default all but floors and ceilings")  # fmt: skip
    add("--n", type=positive, metavar="N", help="so many questions of each suite, at random")
    add("--scale", type=scale, default=(1, 5), metavar="LOW-HIGH", help="of the ratings (1-5)")
    add("--seed", type=whole, default=13, help="of the order and the questions (13)")

    judge.add_argument("sheet", type=Path, metavar="SHEET.csv")
    judge.add_argument(
        "--judge", required=True, metavar="SPEC", help="any generator, as in chat?model=NAME&..."
    )
    judge.add_argument("--device", default="cpu", help="of its model (cpu)")

    read.add_argument("sheet", nargs="+", type=Path, metavar="SHEET.csv", help="one a rater")
    read.add_argument("--seed", type=whole, default=13, help="of resampling (13)")

    for one in (make, judge):
        one.add_argument("--out", type=Path, required=True, metavar="SHEET.csv")
    read.add_argument(
        "--out", type=Path, metavar="FOLDER", help="for the values per query, as a record"
    )
    make.add_argument("--key", type=Path, metavar="FILE", help="by default SHEET.key.json")
    for one in (judge, read):
        one.add_argument("--key", type=Path, required=True, metavar="FILE")


def scale(text: str) -> tuple[int, int]:
    """The two ends of "1-5"."""
    found = SCALE.fullmatch(text)
    if found is None or int(found[1]) >= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a scale; expected LOW-HIGH, as in 1-5")
    return int(found[1]), int(found[2])


def main(options: argparse.Namespace) -> int:
    """`bench rate`."""
    return ACTIONS[options.action](options)


def make(options: argparse.Namespace) -> int:
    """The sheet and its key; an existing file is never replaced, for it may hold ratings."""
    from bench.answers.items import blind
    from bench.answers.sheet import empty_sheet, key_text, to_csv
    from qrels.files import write_whole

    key = options.key or options.out.with_suffix(".key.json")
    free(options.out, key)
    rows, suites = gathered(options.source, options.system)
    found = blind(rows, options.scale, options.seed, options.n, suites)
    write_whole(key, key_text(found.key))
    write_whole(options.out, to_csv(empty_sheet(found)))
    say(f"{len(found.rows):,} answers to rate in {options.out}; keep {key} from the raters")
    return FINE


def free(*paths: Path) -> None:
    """UsageError where one of the paths is taken, or two are the same."""
    if len(set(paths)) < len(paths):
        raise UsageError(f"{paths[0]} cannot be both the sheet and the key")
    for path in paths:
        if path.exists():
            raise UsageError(f"{path} exists and may hold ratings; move it or give another name")


def gathered(
    paths: Sequence[Path], systems: Sequence[str]
) -> "tuple[list[AnswerRow], Sequence[SuiteInfo]]":
    """The answers of one record, with what it says of its suites, or of several files."""
    from bench.answers.files import answers_of_record, read_answers
    from qrels.errors import unknown

    if any(path.is_dir() or path.suffix == ".json" for path in paths):
        if len(paths) > 1:
            raise UsageError("give one result folder, or files of answers")
        record, found = answers_of_record(paths[0], systems)
        return found, record.suites
    rows = [row for path in paths for row in read_answers(path)]
    names = {row.system for row in rows}
    for name in systems:
        if name not in names:
            raise unknown("system", name, names)
    return [row for row in rows if not systems or row.system in systems], ()


def judge(options: argparse.Namespace) -> int:
    """The sheet with a judge's ratings, and how far they agree with the gold labels."""
    from bench.answers.judge import against_labels, with_verdicts
    from bench.answers.judge import judge as judged
    from bench.answers.sheet import read_key, read_sheet, to_csv
    from encoders.base import device_scope
    from generators import create
    from qrels.files import write_whole
    from reports.units import NONE, figure
    from retrievers.base import Closes

    free(options.out)
    check_device(options.device)
    key = read_key(options.key)
    rows = read_sheet(options.sheet, key)
    generator = create(options.judge)
    try:
        with device_scope(options.device):
            verdicts = judged(rows, generator, key.low, key.high)
    finally:
        if isinstance(generator, Closes):
            generator.close()
    done = with_verdicts(rows, verdicts)
    write_whole(options.out, to_csv(done))
    read = sum(row.rating is not None for row in done)
    found = against_labels(done, key.low, key.high)
    print(f"{read:,} of {len(done):,} answers rated; the other replies could not be read")
    same, kappa = (NONE if one is None else figure(one) for one in (found.same, found.kappa))
    print(f"against the gold labels: {same} the same, kappa {kappa}, over {found.items:,} answers")
    return FINE


def read(options: argparse.Namespace) -> int:
    """Means and agreement of the sheets' ratings; with --out the values per query as a record."""
    from datetime import UTC, datetime

    from bench.answers.ratings import collected, item_means, page, rated_record
    from bench.answers.sheet import read_key, read_sheet
    from bench.output import whole_folder
    from reports.record import save

    key = read_key(options.key)
    names = [path.stem for path in options.sheet]
    if len(set(names)) < len(names):
        names = [str(path) for path in options.sheet]
    if len(set(names)) < len(names):
        raise UsageError("a sheet is given twice")
    sheets = {n: read_sheet(path, key) for n, path in zip(names, options.sheet, strict=True)}
    ratings = collected(key, sheets)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    record = rated_record(key, item_means(ratings.values), options.seed, created)
    print(page(key, ratings, record), end="")
    if options.out:
        with whole_folder(options.out) as folder:
            save(record, folder)
    return FINE


ACTIONS = {"make": make, "judge": judge, "read": read}
