"""`bench lint SUITE`: is the suite fit to be quoted? Each check has a code and a remedy."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.config import parse_system
from bench.judge import judge
from bench.metrics import parse_measure
from bench.runner import search_suite
from qrels.data import Qrels, Run, Suite

CUTOFF = 10
COPIED_WORDS = 6
"""A shared run of this many words is more than a name."""
EVERYWHERE = 0.5
JUDGED = 0.98

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """What one check found: errors make a suite unfit, warnings want a look, notes are figures."""

    code: str
    level: Level
    message: str
    remedy: str = ""


class Linted(NamedTuple):
    """The suite, the runs of its systems by name, and the joined texts of its documents."""

    suite: Suite
    runs: Mapping[str, Run]
    texts: Sequence[str]


def lint(suite: Suite, systems: Sequence[str] | None = None) -> list[Finding]:
    """Everything found in *suite*, with the runs of *systems*, by default its own."""
    runs = {}
    for spec in suite.systems if systems is None else systems:
        runs[spec] = search_suite(suite, parse_system(spec))
    linted = Linted(suite, runs, suite.corpus.joined())
    return [finding for check in CHECKS for finding in check(linted)]


def relevant_docs(qrels: Qrels, level: int) -> list[NDArray[np.int32]]:
    """The positions of each query's documents of grade *level* or more."""
    bounds = zip(qrels.indptr[:-1], qrels.indptr[1:], strict=True)
    return [qrels.docs[i:j][qrels.grades[i:j] >= level] for i, j in bounds]


def without_relevant(linted: Linted) -> Iterator[Finding]:
    """S1: a query that nothing can answer."""
    suite = linted.suite
    found = relevant_docs(suite.qrels, suite.rules.relevance_level)
    for row, docs in enumerate(found):
        if not len(docs) and not suite.queries.metadata[row].get("unanswerable"):
            yield Finding(
                "S1",
                "error",
                f"query {suite.queries.query_ids[row]!r} has no relevant document",
                "judge more documents, or tag it `unanswerable` and set skip_unanswerable",
            )


def missing_documents(linted: Linted) -> Iterator[Finding]:
    """S2: judged documents that the corpus lacks."""
    extra = linted.suite.qrels.extra_doc_ids
    if extra:
        yield Finding(
            "S2",
            "warning",
            f"{len(extra)} judged documents are not in the corpus, {extra[0]!r} for one",
            "they count in the ideal ranking and in recall; add them or drop the judgements",
        )


def doubles(linted: Linted) -> Iterator[Finding]:
    """S3, S4: the same query or the same document twice."""
    suite = linted.suite
    for code, kind, ids, column in (
        ("S3", "queries", suite.queries.query_ids, suite.queries.texts),
        ("S4", "documents", suite.corpus.doc_ids, linted.texts),
    ):
        first: dict[str, str] = {}
        for name, text in zip(ids, column, strict=True):
            if text and first.setdefault(text, name) != name:
                yield Finding(
                    code,
                    "error",
                    f"{kind} {first[text]!r} and {name!r} have the same text",
                    "keep one of them, with its judgements",
                )


def empty_texts(linted: Linted) -> Iterator[Finding]:
    """S5: documents and queries without a word."""
    suite = linted.suite
    levels: Mapping[str, Level] = {"queries": "error", "documents": "warning"}
    columns = {"queries": suite.queries.texts, "documents": linted.texts}
    for kind, texts in columns.items():
        blank = sum(not text.strip() for text in texts)
        if blank:
            yield Finding(
                "S5",
                levels[kind],
                f"{blank} of {len(texts)} {kind} are empty",
                "fill them or leave them out: nothing can find them",
            )


def copied_wording(linted: Linted) -> Iterator[Finding]:
    """S6: the longest run of words that a query shares with one of its relevant documents."""
    suite = linted.suite
    texts = [words(text) for text in linted.texts]
    longest, where = 0, ""
    found = relevant_docs(suite.qrels, suite.rules.relevance_level)
    for row, docs in enumerate(found):
        query = words(suite.queries.texts[row])
        for doc in docs[docs < len(texts)]:
            shared = longest_shared(query, texts[doc])
            if shared > longest:
                longest, where = (
                    shared,
                    f"{suite.queries.query_ids[row]} in " + repr(suite.corpus.doc_ids[doc]),
                )
    message = f"the longest run of words a query shares with a relevant document is {longest}"
    level: Level = "warning" if longest >= COPIED_WORDS else "note"
    remedy = "word the query as somebody who has not read the document" if where else ""
    yield Finding("S6", level, f"{message}: {where}" if where else message, remedy)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def longest_shared(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest run of words that stands in both."""
    best, before = 0, [0] * (len(b) + 1)
    for word in a:
        now = [0] * (len(b) + 1)
        for place, other in enumerate(b, 1):
            if word == other:
                now[place] = before[place - 1] + 1
                best = max(best, now[place])
        before = now
    return best


def everywhere(linted: Linted) -> Iterator[Finding]:
    """S7: a document that every system returns for most queries."""
    suite = linted.suite
    if not linted.runs:
        return
    size = (len(suite.queries), len(suite.corpus))
    seen = np.ones(size, np.bool_)
    for run in linted.runs.values():
        mine = np.zeros((size[0], size[1] + 1), np.bool_)
        np.put_along_axis(mine, run.docs[:, :CUTOFF].astype(np.intp), values=True, axis=1)
        seen &= mine[:, :-1]  # padding, -1, fell into the last column
    share = seen.mean(axis=0)
    for doc in np.flatnonzero(share > EVERYWHERE).tolist():
        name = suite.corpus.doc_ids[doc]
        yield Finding(
            "S7",
            "error",
            f"every system returns {name!r} for {share[doc]:.0%} of the queries",
            "look at its text: it is too general, or too long",
        )


def unjudged(linted: Linted) -> Iterator[Finding]:
    """S8: documents in the first ten that nobody judged."""
    measure = parse_measure(f"Judged@{CUTOFF}")
    for name, run in linted.runs.items():
        returned = np.minimum((run.docs >= 0).sum(axis=1), CUTOFF)
        judged = measure.values(judge(run, linted.suite.qrels)) * returned
        share = float(judged.sum() / max(1, returned.sum()))
        if share < JUDGED:
            yield Finding(
                "S8",
                "warning",
                f"{name}: {share:.1%} of the documents it returns in the first ten are judged",
                f"judge the rest: below {JUDGED:.0%} its nDCG may be too low",
            )


def kinds(linted: Linted) -> Iterator[Finding]:
    """S9: queries that no slice table will show."""
    plain = sum(not kind for kind in linted.suite.queries.kinds)
    if plain:
        yield Finding(
            "S9", "note", f"{plain} queries have no metadata.kind", "name one, to report by slices"
        )


CHECKS: Sequence[Callable[[Linted], Iterator[Finding]]] = (
    without_relevant,
    missing_documents,
    doubles,
    empty_texts,
    copied_wording,
    everywhere,
    unjudged,
    kinds,
)


def format_findings(suite: Suite, findings: Sequence[Finding]) -> str:
    """A line a finding, its remedy beneath, and a count."""
    lines = []
    for found in findings:
        lines.append(f"{found.code} {found.level}: {found.message}")
        if found.remedy and found.level != "note":
            lines.append(f"   {found.remedy}")
    errors = sum(found.level == "error" for found in findings)
    warnings = sum(found.level == "warning" for found in findings)
    lines.append(f"{suite.name} ({suite.split}): errors {errors}, warnings {warnings}")
    return "\n".join(lines)
