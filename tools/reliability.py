"""What breaks, tried for real: kills at random moments, and every fault that has a test.

    python -m tools.reliability [--kills 100] [--seed 1] [--no-tests] [--out docs/reliability.md]

Run from the checkout's root. Writes the two tables between the marker lines of the page; the exit
code is 1 where anything was lost. The second table has a row for each test of tests/reliability:
its docstring, how many cases it has, and how many of them hold.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reports.table import markdown
from tools.judgements import with_figures
from tools.kills import Tally, trials, works

START, END = "<!-- faults tried -->", "<!-- end of faults tried -->"
PAGE = Path("docs/reliability.md")
TESTS = Path("tests/reliability")
LEFT_OUT = ("test_kills.py", "test_fuzz.py")
"""Tests that are tables of their own: the kills above, the fuzzer's page."""


class Outcomes:
    """A pytest plug-in that keeps what each test promises and how its cases went."""

    def __init__(self) -> None:
        self.promises: dict[str, str] = {}
        self.cases: Counter[tuple[str, str]] = Counter()

    def pytest_collection_modifyitems(self, items: Sequence[Any]) -> None:  # pytest's items
        for item in items:
            doc = item.function.__doc__ or item.function.__name__
            self.promises[item.nodeid.partition("[")[0]] = doc.strip().partition("\n")[0]

    def pytest_runtest_logreport(self, report: Any) -> None:  # pytest's report
        if report.when == "call" or report.outcome != "passed":
            self.cases[report.nodeid.partition("[")[0], report.outcome] += 1


def killed(kills: int, seed: int) -> list[Tally]:
    """Every work killed that many times."""
    rng = np.random.default_rng(seed)
    return [trials(work, kills, rng) for work in works()]


def kill_rows(tallies: Sequence[Tally]) -> Iterator[list[str]]:
    for found in tallies:
        survived = found.tried - len(found.lost)
        yield [
            found.name, found.promise, f"{found.tried}", f"{found.killed}", f"{found.resumed}",
            f"{survived}", f"{len(found.lost)}",
        ]  # fmt: skip


def fault_rows(outcomes: Outcomes) -> Iterator[list[str]]:
    """A row a test: the module's fault, the promise, cases tried, survived, lost, left out."""
    for name, promise in outcomes.promises.items():
        counts = [outcomes.cases[name, key] for key in ("passed", "failed", "skipped")]
        kind = Path(name.partition("::")[0]).stem.removeprefix("test_").replace("_", " ")
        tried, (survived, lost, skipped) = counts[0] + counts[1], counts
        yield [kind, promise, f"{tried}", f"{survived}", f"{lost}", f"{skipped}"]


def tested() -> Outcomes:
    """The tests of faults, run here."""
    import pytest

    outcomes = Outcomes()
    left_out = [f"--ignore={TESTS / name}" for name in LEFT_OUT]
    pytest.main([str(TESTS), "-q", "-p", "no:cacheprovider", *left_out], plugins=[outcomes])
    return outcomes


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-tests", action="store_true")
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    tallies = killed(options.kills, options.seed)
    header = ["what is killed by SIGKILL", "what must hold", "tried", "killed in mid-work",
              "something to resume from", "survived", "lost"]  # fmt: skip
    parts = [markdown(header, list(kill_rows(tallies)), "llrrrrr")]
    failures = [line for found in tallies for line in found.lost]
    if not options.no_tests:
        outcomes = tested()
        header = ["fault", "what must hold", "tried", "survived", "lost", "not tried here"]
        parts.append(markdown(header, list(fault_rows(outcomes)), "llrrrr"))
        failures += [name for (name, result), _ in outcomes.cases.items() if result == "failed"]
    page = options.out if options.out.exists() else PAGE
    text = page.read_text("utf-8")
    text = with_figures(text, "\n\n".join(parts), START, END)
    options.out.write_text(text, encoding="utf-8")
    print("\n".join(failures) or f"nothing was lost; the tables are in {options.out}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
