"""Runs the cases: `python -m conformance [--implementation NAME] [--markdown README.md]`.

Prints a line for each disagreement and the counts; exit code 0 where ours agrees on every case,
else 1. --markdown puts the table of disagreements between the two marker lines of a page.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from conformance.cases import ABSOLUTE, Case, read_cases
from conformance.implementations import IMPLEMENTATIONS, UnsupportedError

START, END = "<!-- disagreements -->", "<!-- end of disagreements -->"


class Outcome(NamedTuple):
    """What one implementation said of one measure of one case.

    status: agrees, differs, unsupported, or `not installed`. expected, found: where it differs.
    """

    case: str
    measure: str
    implementation: str
    status: str
    expected: str = ""
    found: str = ""
    reason: str = ""


def outcomes(case: Case, name: str) -> Iterator[Outcome]:
    """What the implementation *name* says of each expectation of *case*."""
    if case.error is not None:
        yield refused(case, name, case.error.get(name, ""))
    for wanted in case.expectations:
        key = (case.name, wanted.measure, name)
        try:
            found = IMPLEMENTATIONS[name](case, wanted.measure)
        except UnsupportedError:
            yield Outcome(*key, "unsupported")
            continue
        except ModuleNotFoundError:
            yield Outcome(*key, "not installed")
            continue
        if set(found) == set(wanted.values) and all(
            abs(found[query] - value) <= ABSOLUTE for query, value in wanted.values.items()
        ):
            yield Outcome(*key, "agrees")
        else:
            texts = shown(wanted.values), shown(found)
            yield Outcome(*key, "differs", *texts, wanted.differs.get(name, ""))


def refused(case: Case, name: str, reason: str) -> Outcome:
    """Whether the implementation refuses a run that must be refused."""
    key = (case.name, "nDCG", name)
    try:
        found = IMPLEMENTATIONS[name](case, "nDCG")
    except UnsupportedError:
        return Outcome(*key, "unsupported")
    except ModuleNotFoundError:
        return Outcome(*key, "not installed")
    except Exception:  # each has an error of its own
        return Outcome(*key, "agrees")
    return Outcome(*key, "differs", "an error", shown(found), reason)


def shown(values: Mapping[str, float]) -> str:
    """Values by query, to seven digits."""
    return ", ".join(f"{query}: {value:.7g}" for query, value in sorted(values.items())) or "none"


def disagreements(found: Sequence[Outcome]) -> str:
    """The Markdown table of what differs."""
    header = ["case", "measure", "implementation", "expected", "it gives", "because"]
    rows = [
        [one.case, f"`{one.measure}`", one.implementation, one.expected, one.found, one.reason]
        for one in found
        if one.status == "differs"
    ]
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def counts(found: Sequence[Outcome]) -> str:
    """A line an implementation: how many expectations it agrees with."""
    lines = []
    for name in dict.fromkeys(one.implementation for one in found):
        statuses = [one.status for one in found if one.implementation == name]
        parts = [f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses)]
        lines.append(f"{name}: {', '.join(sorted(parts, key=lambda part: part.split()[1]))}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__.partition("\n")[0])
    parser.add_argument("--implementation", action="append", choices=list(IMPLEMENTATIONS))
    parser.add_argument("--markdown", type=Path, metavar="README.md")
    options = parser.parse_args(arguments)
    names = options.implementation or list(IMPLEMENTATIONS)
    found = [one for case in read_cases() for name in names for one in outcomes(case, name)]
    for one in found:
        if one.status == "differs":
            print(f"{one.case}: {one.measure}: {one.implementation} gives {one.found}; "
                  f"expected {one.expected}")  # fmt: skip
    print(counts(found))
    if options.markdown:
        if not options.markdown.is_file():
            parser.error(f"{options.markdown}: no such file")
        page = options.markdown.read_text("utf-8")
        head, _, rest = page.partition(START)
        _, ended, tail = rest.partition(END)
        if not ended:
            parser.error(f"{options.markdown}: no lines {START} and {END}")
        text = f"{head}{START}\n```\n{counts(found)}\n```\n\n{disagreements(found)}\n{END}{tail}"
        options.markdown.write_text(text, encoding="utf-8")
    return int(any(one.implementation == "ours" and one.status == "differs" for one in found))


if __name__ == "__main__":
    sys.exit(main())
