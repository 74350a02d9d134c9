"""What a suite holds, counted: documents, queries and grades of all its splits together."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from qrels.beir import read_queries
from qrels.data import Column, Corpus, Queries
from qrels.suites import load_suite, splits
from qrels.trec import read_judgements

SKIPPED = ("author", "base_model")
"""Columns that name a document's kin rather than sort it into a class."""

MOST = 1000
"""A column with more values than this is none of classes either."""

TOP, TOPS = 15, {"license": 10, "tags": 10}


class Values(NamedTuple):
    """How often each value occurs: in how many rows, whatever else these hold."""

    filled: int  # rows with a value
    different: int
    top: Sequence[tuple[str, int]]  # the most frequent first
    others: int  # rows with a value that is not in top


class Distributions(NamedTuple):
    """A suite, all its splits together. splits, grades and counted are aligned with queries."""

    name: str
    corpus: Corpus
    level: int  # the smallest relevant grade
    queries: Queries
    splits: Sequence[str]
    grades: Sequence[Sequence[int]]
    counted: Sequence[bool]  # whether retrieval measures count the query

    @property
    def lengths(self) -> list[int]:
        """The words of each document's text, as white space separates them."""
        return [len(text.split()) for text in self.corpus.fields["text"]]

    @property
    def scale(self) -> list[int]:
        """The grades that occur, the best first."""
        return sorted({grade for grades in self.grades for grade in grades}, reverse=True)

    def documents(self) -> dict[str, Values]:
        """The columns that sort documents into classes."""
        columns = self.corpus.metadata.items()
        return classes((n, cells(c)) for n, c in columns if c.kind in ("str", "list"))

    def topics(self) -> dict[str, Values]:
        """The like for queries: what their metadata says beside kind and split."""
        rows = self.queries.metadata
        names = dict.fromkeys(k for row in rows for k, v in row.items() if isinstance(v, str))
        found = {n: [(row[n],) if row.get(n) else () for row in rows] for n in names}
        return classes((n, rows) for n, rows in found.items() if n not in ("kind", "split"))

    def kinds(self) -> dict[str, list[int]]:
        """The rows of the queries of each kind, the largest first."""
        kinds = self.queries.kinds
        order = sorted(Counter(kinds).items(), key=lambda item: (-item[1], item[0]))
        return {kind: [i for i, k in enumerate(kinds) if k == kind] for kind, _ in order}

    def relevant(self, rows: Iterable[int]) -> list[int]:
        """How many relevant documents each query has, of those that count."""
        return [sum(g >= self.level for g in self.grades[i]) for i in rows if self.counted[i]]


def read(folder: Path) -> Distributions:
    """The suite in *folder*; queries without an answer are in it, though no measure counts them."""
    suite = load_suite(folder)
    queries = read_queries(folder)
    grades: dict[str, list[int]] = {name: [] for name in queries.query_ids}
    found: dict[str, str] = {}
    for split, path in splits(folder).items():
        judged = read_judgements(path)
        for name, grade in zip(judged.query_ids, judged.grades, strict=True):
            grades[name].append(int(grade))
            found[name] = split
    rows = list(zip(queries.query_ids, queries.metadata, strict=True))
    skip = suite.rules.skip_unanswerable
    return Distributions(
        folder.resolve().name,
        suite.corpus,
        suite.rules.relevance_level,
        queries,
        [found.get(name, item.get("split", "")) for name, item in rows],
        list(grades.values()),
        [not (skip and item.get("unanswerable")) for _, item in rows],
    )


def cells(column: Column) -> list[Collection[str]]:
    """The values of each row of a str or list column."""
    if column.kind == "list":
        return list(column.values)
    return [(value,) if value else () for value in column.values]


def classes(columns: Iterable[tuple[str, Sequence[Collection[str]]]]) -> dict[str, Values]:
    """The counts of each column that has classes: from 2 to MOST different values."""
    counts = {n: count(rows, TOPS.get(n, TOP)) for n, rows in columns if n not in SKIPPED}
    return {name: values for name, values in counts.items() if 2 <= values.different <= MOST}


def count(rows: Sequence[Collection[str]], most: int) -> Values:
    """The *most* frequent values, equal ones by name, and the rest in one number."""
    counts = Counter(value for row in rows for value in set(row))
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    names = {name for name, _ in top}
    return Values(
        filled=sum(map(bool, rows)),
        different=len(counts),
        top=top,
        others=sum(not names.issuperset(row) for row in rows),
    )
