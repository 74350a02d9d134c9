"""The distributions of a suite: tables in its README.md and one figure.

    python -m tools.datasheet SUITE_FOLDER [--check]

The tables go between the README's two marker lines, the figure to docs/suites/NAME.svg of the
checkout. --check writes nothing and fails where the tables are not what the suite's files give,
or where there is no figure.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qrels.errors import BenchError
from qrels.files import read_data, write_whole
from reports.table import escape
from reports.units import NONE
from tools.distributions import Distributions, Values, read
from tools.judgements import with_figures

START, END = "<!-- distributions -->", "<!-- end of distributions -->"
FIGURE = "../../../docs/suites/{}.svg"
"""Where the figure of qrels/sets/NAME is, seen from there."""

QUANTILES = (0, 10, 25, 50, 75, 90, 100)


def block(d: Distributions) -> str:
    """The figure and the tables, as Markdown."""
    size, empty = len(d.corpus), d.lengths.count(0)
    parts = [
        f"![Distributions of the suite {escape(d.name)}]({FIGURE.format(d.name)})",
        f"**Documents** by metadata. Of {size:,} texts {empty:,} are empty ({empty / size:.1%}).",
        _classes(d.documents(), "documents"),
        "**Queries** by metadata.",
        _classes(d.topics(), "queries"),
        f"**Queries and grades** by kind. Relevant is grade {d.level} and above.",
        _kinds(d),
        "**Lengths.** Words are what white space separates: Chinese and Japanese have few.",
        _quantiles(d),
    ]
    return "\n\n".join(parts)


def _classes(columns: dict[str, Values], rows: str) -> str:
    header = ["", f"{rows} with it", "values", f"{rows} with the most frequent values"]
    lines = []
    for name, values in columns.items():
        shown = [f"{escape(value)} {number:,}" for value, number in values.top]
        if left := values.different - len(values.top):
            shown.append(f"*{left:,} more* {values.others:,}")
        lines.append(
            [escape(name), f"{values.filled:,}", f"{values.different:,}", ", ".join(shown)]
        )
    return table(header, lines, "lrrl")


def _kinds(d: Distributions) -> str:
    splits = sorted(set(d.splits))
    header = ["kind", *map(escape, splits), "all", "relevant a query: min", "median", "max"]
    header += [f"grade {grade}" for grade in d.scale]
    lines = []
    groups = [(escape(kind), rows) for kind, rows in d.kinds().items()]
    for name, rows in [*groups, ("**all**", list(range(len(d.queries))))]:
        relevant, found = d.relevant(rows), Counter(g for i in rows for g in d.grades[i])
        lines.append(
            [
                name,
                *(f"{sum(d.splits[i] == split for i in rows):,}" for split in splits),
                f"{len(rows):,}",
                *(quantiles(relevant, (0, 50, 100)) if relevant else [NONE] * 3),
                *(f"{found[grade]:,}" for grade in d.scale),
            ]
        )
    return table(header, lines, "l" + "r" * (len(header) - 1))


def _quantiles(d: Distributions) -> str:
    texts = d.queries.texts
    answers = [item["answers"] for item in d.queries.metadata if item.get("answers")]
    found = {
        "text of a document, words": d.lengths,
        "query, words": [len(text.split()) for text in texts],
        "query, characters": list(map(len, texts)),
        "relevant documents a query": d.relevant(range(len(texts))),
        "accepted answers a query, where there are any": list(map(len, answers)),
        "first of them, words": [len(first.split()) for first, *_ in answers],
    }
    lines = [[name, *quantiles(values, QUANTILES)] for name, values in found.items() if values]
    return table(["", *(f"{q} %" for q in QUANTILES)], lines, "l" + "r" * len(QUANTILES))


def quantiles(values: Sequence[int], percents: Sequence[int]) -> list[str]:
    """The percentiles of *values*, a value in between where one lies between two."""
    return [f"{q:,.1f}".removesuffix(".0") for q in np.percentile(values, percents)]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A Markdown table, not padded; cells are Markdown already."""
    rule = ["--:" if a == "r" else "---" for a in align]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    readme = options.suite / "README.md"
    try:
        found = read(options.suite)
        old = read_data(readme).decode()
        new = with_figures(old, block(found), START, END)
    except BenchError as error:
        print(f"datasheet: {error}", file=sys.stderr)
        return 2
    figure = (options.suite / FIGURE.format(found.name)).resolve()
    if options.check:
        stale = {readme: new != old, figure: not figure.exists()}
        for path in (path for path, is_stale in stale.items() if is_stale):
            print(f"{path} is not what the suite gives", file=sys.stderr)
        return int(any(stale.values()))
    from tools.datasheet_figure import draw

    write_whole(figure, draw(found))
    if new != old:
        write_whole(readme, new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
