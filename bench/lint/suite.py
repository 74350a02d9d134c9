"""Checks of a suite: is it fit to be quoted?"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.config import parse_system
from bench.judge import judge
from bench.lint.findings import Check, Finding, Found, Level, found
from bench.metrics import parse_measure
from bench.system import drop, search_suite
from qrels.data import Corpus, Qrels, Run, Suite

CUTOFF = 10
COPIED_WORDS = 6
"""A shared run of this many words is more than a name."""
EVERYWHERE = 0.5
JUDGED = 0.98
WHOLE = 0.99
"""From this share of its documents on a corpus is not called cut down."""
CHANCE = 0.1
"""From this share on, what a random order reaches is worth knowing; from half on it is a fault."""
DRAWS = 20

PUBLISHED = {
    "arguana": 8_674, "climate-fever": 5_416_593, "dbpedia": 4_635_922, "dl19": 8_841_823,
    "dl20": 8_841_823, "fever": 5_416_568, "fiqa": 57_638, "hotpotqa": 5_233_329,
    "msmarco": 8_841_823, "nfcorpus": 3_633, "nq": 2_681_468, "quora": 522_931,
    "robust04": 528_155, "scidocs": 25_657, "scifact": 5_183, "touche": 382_545,
    "trec-covid": 171_332,
}  # fmt: skip
"""Documents of public corpora that are often cut down. Source: Thakur et al. 2021, table 1."""


class Linted(NamedTuple):
    """The suite and the runs of its systems by name."""

    suite: Suite
    runs: Mapping[str, Run]


def lint(suite: Suite, systems: Sequence[str] | None = None) -> list[Finding]:
    """Everything found in *suite*, with the runs of *systems*, by default its own."""
    names = suite.systems if systems is None else systems
    runs = {name: search_suite(suite, parse_system(name)) for name in names}
    return found(SUITE, Linted(suite, runs))


def relevant_docs(qrels: Qrels, level: int) -> list[NDArray[np.int32]]:
    """The positions of each query's documents of grade *level* or more."""
    bounds = zip(qrels.indptr[:-1], qrels.indptr[1:], strict=True)
    return [qrels.docs[i:j][qrels.grades[i:j] >= level] for i, j in bounds]


def without_relevant(linted: Linted) -> Iterator[Found]:
    suite = linted.suite
    for row, docs in enumerate(relevant_docs(suite.qrels, suite.rules.relevance_level)):
        if not len(docs) and not suite.queries.metadata[row].get("unanswerable"):
            yield "error", f"query {suite.queries.query_ids[row]!r} has no relevant document"


def missing_documents(linted: Linted) -> Iterator[Found]:
    extra = linted.suite.qrels.extra_doc_ids
    if extra:
        count = len(extra)
        yield "warning", f"{count} judged documents are not in the corpus, {extra[0]!r} for one"


def doubles(kind: str, linted: Linted) -> Iterator[Found]:
    """kind: queries or documents."""
    suite = linted.suite
    ids, texts = {
        "queries": (suite.queries.query_ids, suite.queries.texts),
        "documents": (suite.corpus.doc_ids, suite.corpus.joined()),
    }[kind]
    first: dict[str, str] = {}
    for name, text in zip(ids, texts, strict=True):
        if text and first.setdefault(text, name) != name:
            yield "error", f"{kind} {first[text]!r} and {name!r} have the same text"


def empty_texts(linted: Linted) -> Iterator[Found]:
    suite = linted.suite
    columns: Mapping[str, tuple[Level, Sequence[str]]] = {
        "queries": ("error", suite.queries.texts),
        "documents": ("warning", suite.corpus.joined()),
    }
    for kind, (level, texts) in columns.items():
        blank = sum(not text.strip() for text in texts)
        if blank:
            yield level, f"{blank} of {len(texts)} {kind} are empty"


def copied_wording(linted: Linted) -> Iterator[Found]:
    suite = linted.suite
    texts: dict[int, str] = {}  # by position, words apart by one space
    longest, where = 0, ""
    for row, docs in enumerate(relevant_docs(suite.qrels, suite.rules.relevance_level)):
        query = words(suite.queries.texts[row])
        for doc in docs[docs < len(suite.corpus)].tolist():
            if doc not in texts:
                texts[doc] = spaced(words(text_of(suite.corpus, doc)))
            shared = longest_shared(query, texts[doc], longest)
            if shared > longest:
                longest = shared
                where = f": {suite.queries.query_ids[row]} in {suite.corpus.doc_ids[doc]!r}"
    level: Level = "warning" if longest >= COPIED_WORDS else "note"
    yield (
        level,
        f"the longest run of words a query shares with a relevant document is {longest}{where}",
    )


def text_of(corpus: Corpus, doc: int) -> str:
    return " ".join(texts[doc] for texts in corpus.fields.values())


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def spaced(parts: Sequence[str]) -> str:
    return f" {' '.join(parts)} "


def longest_shared(query: Sequence[str], text: str, least: int = 0) -> int:
    """How many words of *query* in a row stand in the `spaced` *text*; *least* if no more."""
    longest = least
    for start in range(len(query)):
        while (stop := start + longest + 1) <= len(query) and spaced(query[start:stop]) in text:
            longest += 1
    return longest


def everywhere(linted: Linted) -> Iterator[Found]:
    if not linted.runs:
        return
    first, *others = (run.docs[:, :CUTOFF] for run in linted.runs.values())
    shared = first >= 0
    for docs in others:
        shared &= (first[:, :, None] == docs[:, None, :]).any(axis=2)
    counts = np.bincount(first[shared], minlength=1) / len(first)
    for doc in np.flatnonzero(counts > EVERYWHERE).tolist():
        name = linted.suite.corpus.doc_ids[doc]
        yield "error", f"every system returns {name!r} for {counts[doc]:.0%} of the queries"


def unjudged(linted: Linted) -> Iterator[Found]:
    measure = parse_measure(f"Judged@{CUTOFF}")
    for name, run in linted.runs.items():
        returned = np.minimum((run.docs >= 0).sum(axis=1), CUTOFF)
        judged = measure.values(judge(run, linted.suite.qrels)) * returned
        share = float(judged.sum() / max(1, returned.sum()))
        if share < JUDGED:
            yield (
                "warning",
                f"{name}: {share:.1%} of the documents it returns in the first ten are judged",
            )


def kinds(linted: Linted) -> Iterator[Found]:
    plain = sum(not kind for kind in linted.suite.queries.kinds)
    if plain:
        yield "note", f"{plain} queries have no metadata.kind"


def cut_down(linted: Linted) -> Iterator[Found]:
    """Told by its name: nothing in the judgements gives it away.

    Of the whole collections ADI, NFCorpus and Cranfield .88, .92 and .59 of the documents are
    relevant to some query, of samples of HotpotQA and MS MARCO .20 and .19.
    """
    suite = linted.suite
    name = f"-{'-'.join(words(suite.name.replace('_', '-')))}-"
    known = sorted((key for key in PUBLISHED if f"-{key}-" in name), key=len)
    if known and len(suite.corpus) < WHOLE * PUBLISHED[known[-1]]:
        whole = f"{known[-1]} as published has {PUBLISHED[known[-1]]:,}"
        yield "warning", f"{suite.name} has {len(suite.corpus):,} documents; {whole}"


def by_chance(linted: Linted) -> Iterator[Found]:
    size = max(1, len(linted.suite.corpus))
    for name in linted.suite.measures:
        measure = parse_measure(name)
        share = min(1.0, (measure.cutoff or linted.suite.depth) / size)
        if measure.name == "R" and share >= CHANCE:
            level: Level = "warning" if share >= 0.5 else "note"
            yield level, f"a random order of the {size:,} documents reaches {name} {share:.2f}"


def thinned(linted: Linted) -> Iterator[Found]:
    """What half of the competition would leave: each other document is dropped by a coin toss."""
    suite = linted.suite
    measure = parse_measure(suite.measures[0], suite.rules.relevance_level)
    parts = []
    for name, run in linted.runs.items():
        judged = judge(run, suite.qrels)
        others = judged.present & (judged.grades < suite.rules.relevance_level)
        rng = np.random.default_rng(0)
        drawn = [_without_half(run, others, len(suite.corpus), rng) for _ in range(DRAWS)]
        half = np.mean([measure.values(judge(thin, suite.qrels)) for thin in drawn])
        parts.append(f"{name} {half:.3f} instead of {measure.values(judged).mean():.3f}")
    if parts:
        yield "note", f"{measure} with half as many documents to compete with: {', '.join(parts)}"


def _without_half(
    run: Run, others: NDArray[np.bool_], n_docs: int, rng: np.random.Generator
) -> Run:
    """The run over a corpus that lacks half of the documents, but for a query's relevant ones."""
    gone = rng.random(n_docs + 1) < 0.5
    return drop(run, others & gone[run.docs], run.docs.shape[1])


SUITE: Sequence[Check[Linted]] = (
    Check(
        "S1", "a query without a relevant document",
        "judge more documents, or tag it `unanswerable` and set skip_unanswerable",
        without_relevant,
    ),
    Check(
        "S2", "judged documents that the corpus lacks",
        "they count in the ideal ranking and in recall; add them or drop the judgements",
        missing_documents,
    ),
    Check(
        "S3", "two queries of the same text",
        "keep one of them, with its judgements", partial(doubles, "queries"),
    ),
    Check(
        "S4", "two documents of the same text",
        "keep one of them, with its judgements", partial(doubles, "documents"),
    ),
    Check(
        "S5", "documents and queries without a word",
        "fill them or leave them out: nothing can find them", empty_texts,
    ),
    Check(
        "S6", f"a query that shares {COPIED_WORDS} words in a row with a relevant document",
        "word the query as somebody who has not read the document", copied_wording,
    ),
    Check(
        "S7", "a document that every system returns for most queries",
        "look at its text: it is too general, or too long", everywhere,
    ),
    Check(
        "S8", f"documents within the first {CUTOFF} that nobody judged",
        f"judge the rest (`bench judge-next`): below {JUDGED:.0%} its nDCG may be too low",
        unjudged,
    ),
    Check(
        "S9", "queries without metadata.kind, which no table of slices shows",
        "name one, to report by slices", kinds,
    ),
    Check(
        "S10", "a corpus cut down from a public one of the same name",
        "compare systems on it, but quote no score beside those of the whole corpus: with fewer "
        "documents to compete with, most are too high", cut_down,
    ),
    Check(
        "S11", "a recall so deep that chance reaches much of it",
        "choose a smaller cutoff", by_chance,
    ),
    Check(
        "S12", "how far scores depend on the size of the corpus",
        "compare scores over one corpus only", thinned,
    ),
)  # fmt: skip
