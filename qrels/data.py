"""The types every package speaks: corpus, queries, qrels, run, filter, suite.

Ids become positions (row numbers, int32) once, on entry; they are strings again only in files
and reports. Types hold data; the functions that work on them are in `ranking`, `trec`, `beir`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.errors import unknown
from qrels.text_column import TextColumn, joined

UNJUDGED = np.iinfo(np.int16).min
"""The grade of a document without a judgement in a joined array; negative grades exist."""

ABSENT = -1
"""The position that pads a ranking shorter than its depth; its score is -inf."""

FEW = 50
"""A search in order costs as much as a place in a table of so many documents."""

ColumnKind = Literal["str", "int", "float", "date", "list"]
Operator = Literal["=", "!=", "in", "contains", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class Column:
    """One typed metadata column over the corpus.

    values: (n_docs,), by kind
        int, float  float64, NaN where missing
        date        datetime64[s], NaT where missing
        str         object array of str, None where missing
        list        object array of tuple[str, ...], () where missing
    """

    kind: ColumnKind
    values: NDArray[Any]  # the dtype follows the kind, as listed above


@dataclass(frozen=True)
class Corpus:
    """What is searched: named text fields and typed metadata columns, a row a document.

    fields maps a field's name to n_docs texts ("" where empty); weights gives each field's
    default weight. metadata maps a column's name to its values.
    """

    doc_ids: Sequence[str]
    fields: Mapping[str, Sequence[str]]
    metadata: Mapping[str, Column] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.doc_ids)

    @cached_property
    def tie_order(self) -> NDArray[np.int32]:
        """int32 (n_docs,): the rank of each document among equal scores, doc_id descending.

        Python compares strings by code point, which orders UTF-8 as trec_eval's strcmp does.
        """
        ids = self.doc_ids
        order: Sequence[int] | NDArray[np.int64]
        if isinstance(ids, TextColumn):
            order = ids.descending
        else:
            order = sorted(range(len(ids)), key=ids.__getitem__, reverse=True)
        ranks = np.empty(len(order), np.int32)
        ranks[order] = np.arange(len(order), dtype=np.int32)
        return ranks

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """The position of each doc_id."""
        return {doc_id: position for position, doc_id in enumerate(self.doc_ids)}

    def places(self, doc_ids: Sequence[str]) -> NDArray[np.int64]:
        """int64 (len(doc_ids),): the position of each, ABSENT where the corpus lacks it.

        For a few ids of a large corpus, without a table of all.
        """
        ids: Iterator[int | None]
        if isinstance(self.doc_ids, TextColumn) and len(doc_ids) < len(self) // FEW:
            ids = map(self.doc_ids.find, doc_ids)
        else:
            ids = map(self.positions.get, doc_ids)
        found = (ABSENT if place is None else place for place in ids)
        return np.fromiter(found, np.int64, len(doc_ids))

    def joined(self, names: Sequence[str] | None = None) -> Sequence[str]:
        """One text a document: its non-empty fields in order, joined by a space.

        names: which fields, all by default; the order is the caller's. UsageError for a field
        that the corpus lacks.
        """
        wanted = list(self.fields if names is None else names)
        for name in wanted:
            if name not in self.fields:
                raise unknown("field", name, self.fields)
        columns = [self.fields[name] for name in wanted]
        texts = [column for column in columns if isinstance(column, TextColumn)]
        if texts and len(texts) == len(columns):
            return joined(texts)
        return [" ".join(part for part in parts if part) for parts in zip(*columns, strict=True)]


@dataclass(frozen=True)
class Queries:
    """The topics of one split, in file order; metadata may hold `kind` for slices."""

    query_ids: Sequence[str]
    texts: Sequence[str]
    metadata: Sequence[Mapping[str, Any]]  # free JSON from the user's file

    def __len__(self) -> int:
        return len(self.query_ids)

    @property
    def kinds(self) -> list[str]:
        """The slice each query belongs to, "" where the file names none."""
        return [str(item.get("kind", "")) for item in self.metadata]


@dataclass(frozen=True)
class Qrels:
    """Judgements in CSR form over the queries of a split.

    indptr: int64 (n_queries + 1,); docs: int32 (n_judged,), ascending within a query;
    grades: int16 (n_judged,), as given, negative ones too. A judged document that the corpus
    lacks has position n_docs + i and the id extra_doc_ids[i]: it counts in the ideal ranking
    and in recall, and can never be retrieved.
    """

    indptr: NDArray[np.int64]
    docs: NDArray[np.int32]
    grades: NDArray[np.int16]
    extra_doc_ids: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.indptr) - 1


class Run(NamedTuple):
    """Rankings of many queries by one system, best first.

    docs: int32 (n_queries, depth), -1 beyond a short ranking;
    scores: float32, same shape, -inf beyond it.
    """

    docs: NDArray[np.int32]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class Filter:
    """One condition on a metadata column; several of them must all hold.

    operand: str for =, !=, contains; a tuple of str for in; a float or a datetime64 for the
    comparisons (and for = and != on such columns).
    """

    column: str
    operator: Operator
    operand: Any  # one of the types above, checked against the column by `filters.matching`


@dataclass(frozen=True)
class Rules:
    """What belongs to a suite rather than to a retriever.

    exclude_self: a document with the query's own id is never returned (ArguAna, Quora).
    relevance_level: the smallest grade that counts as relevant in binary measures.
    skip_unanswerable: queries whose metadata says `unanswerable` are out of retrieval measures.
    """

    exclude_self: bool = False
    relevance_level: int = 1
    skip_unanswerable: bool = False


ANSWERS = " answers"
"""The end of a split's name where answers are measured, not rankings."""


@dataclass(frozen=True)
class Suite:
    """Corpus, topics, qrels and defaults under one name; the digest is a hash of the content."""

    name: str
    version: str
    split: str
    corpus: Corpus
    queries: Queries
    qrels: Qrels
    digest: str
    measures: Sequence[str] = ("nDCG@10", "RR@10", "R@100", "Judged@10")
    depth: int = 100
    rules: Rules = Rules()
    systems: Sequence[str] = ("bm25", "dense", "hybrid")
    folder: Path | None = None
    description: str = ""
    unanswerable_skipped: int = 0

    @property
    def task(self) -> Literal["retrieval", "answers"]:
        """What is measured: rankings, or in a split called "SPLIT answers" what is answered."""
        return "answers" if self.split.endswith(ANSWERS) else "retrieval"
