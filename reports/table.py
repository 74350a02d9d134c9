"""Tables for a terminal and for Markdown, and data made harmless for both."""

import re
import unicodedata
from collections.abc import Sequence

from reports.record import Record
from reports.standing import Standing, mean, median_ns, shown, standings
from reports.units import NONE, bounds, count, duration, figure, size

Row = Sequence[str]

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
BIDIRECTIONAL = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
SPECIAL = re.compile(r"[\\`*\[\]|~$]|^[-+=#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "://": "&#58;//", "www.": "www&#46;"}
HTML = re.compile("|".join(map(re.escape, ENTITIES)), re.IGNORECASE)
"""Also what GitHub would make a link of."""


def clean(text: str) -> str:
    """*text* on one line, without what would steer a terminal or turn the reading direction."""
    text = " ".join(ANSI.sub("", text).split())
    return "".join(
        "\ufffd" if unicodedata.category(c) == "Cs" else c
        for c in text
        if unicodedata.category(c) != "Cc" and c not in BIDIRECTIONAL
    )


def escape(text: str) -> str:
    """*text* from data so that Markdown and HTML show it as it is, on one line."""
    quoted = NUMBERED.sub(r"\1\\\2", SPECIAL.sub(r"\\\g<0>", clean(text)))
    return HTML.sub(lambda found: ENTITIES[found[0].lower()], quoted)


def code(text: str) -> str:
    """*text* as a code span; also inside a table, where a bar must be escaped."""
    text = clean(text)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")


def fenced(text: str) -> str:
    """*text* as a block of code, whatever backticks it holds; lines are kept."""
    lines = "\n".join(map(clean, text.splitlines()))
    fence = "`" * max(3, max(map(len, re.findall("`+", lines)), default=0) + 1)
    return f"{fence}\n{lines}\n{fence}"


def width(text: str) -> int:
    """How many columns *text* takes in a terminal: wide characters two, combining ones none."""
    return sum(
        0
        if unicodedata.combining(c) or unicodedata.category(c) in ("Cf", "Me", "Mn")
        else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


def pad(text: str, columns: int, align: str) -> str:
    """*text* filled up to *columns*; align is l or r."""
    space = " " * (columns - width(text))
    return space + text if align == "r" else text + space


def plain(header: Row, rows: Sequence[Row], align: str) -> str:
    """A table for a terminal; align has one letter a column, l or r."""
    rows = [[clean(cell) for cell in row] for row in (header, *rows)]
    columns = [max(map(width, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(pad, row, columns, align)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(width, lines)), *lines[1:]])


def markdown(header: Row, rows: Sequence[Row], align: str) -> str:
    """A Markdown table, padded to read well as plain text too; cells are Markdown already."""
    columns = [max(3, *map(width, column)) for column in zip(header, *rows, strict=True)]
    rule = [
        "-" * (w - 1) + ":" if a == "r" else "-" * w for w, a in zip(columns, align, strict=True)
    ]
    lines = [list(map(pad, row, columns, align)) for row in (header, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (lines[0], rule, *lines[1:]))


def leaderboard(record: Record) -> str:
    """The systems of every suite for a terminal: quality with intervals and groups, and cost."""
    return "\n\n".join(map(_board, standings(record)))


def _board(standing: Standing) -> str:
    suite = standing.suite
    title = f"{clean(suite.name)} ({clean(suite.split)}): {count(suite.documents, 'document')}"
    lines = [f"{title}, {count(suite.queries, 'query')}"]
    if standing.cells:
        others = [name for name in standing.columns[1:] if name in suite.measures]
        header = ["system", shown(standing.headline), "95 % interval", "group",
                  *map(shown, others), "p50", "index"]  # fmt: skip
        rows = [
            [
                cell.system,
                figure(mean(cell, standing.headline)),
                bounds(*(cell.means[standing.headline][bound] for bound in ("low", "high"))),
                standing.letters(standing.headline, cell.system),
                *(figure(mean(cell, name)) for name in others),
                NONE if (ns := median_ns(cell)) is None else duration(ns),
                size(cell.cost.index_bytes if cell.cost else None),
            ]
            for cell in standing.cells
        ]
        lines.append(plain(header, rows, "lrll" + "r" * (len(others) + 2)))
    if len(standing.cells) > 1:
        lines.append("Systems that share a letter are not shown to differ.")
    lines += [f"{clean(c.system)} failed: {clean(c.error or '')}" for c in standing.failed]
    return "\n".join(lines)
