"""Splits labelled questions by what they are about, never by question: `training split`.

Questions about one article share its paragraphs and its words. Split by question, a model would be
tested on paragraphs that it was trained on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.output import drafted
from qrels.answers import picked
from qrels.beir import write_corpus, write_queries
from qrels.data import Column, Corpus, Queries, Suite
from qrels.errors import DataError, UsageError
from qrels.files import write_whole
from qrels.suites import digest
from qrels.trec import write_qrels
from training.config import option
from training.data.sample import qrels_part, some_questions
from training.data.sources import load

SUMMARY = "split questions by article into suites to train, validate and test on"


@dataclass(frozen=True)
class OPTIONS:
    """What `split` takes."""

    data: str = option("", "a suite, a .json file of SQuAD's format")
    dataset_name: str = option("", "a SQuAD-format data set of the hub instead: squad, squad_v2")
    split: str = option("", "the split of it")
    out: str = option("", "folder to write the suites train/, validate/ and test/ into")
    column: str = option("article", "the key of a query's metadata that tells groups apart")
    train: int = option(36, "groups to train on", least=1)
    validate: int = option(4, "groups to validate on", least=0)
    test: int = option(8, "groups to test on", least=0)
    test_questions: int = option(
        0, "questions to test on, evenly spaced among those of the groups; 0: all", least=0
    )
    seed: int = option(13, "decides which groups go where", least=0)


def main(options: OPTIONS, say: Callable[[str], None]) -> None:
    """Write the three suites."""
    if not options.out:
        raise UsageError("no folder to write to; give --out FOLDER")
    suite = load(options.data, options.split, options.dataset_name)
    parts = split_by_article(
        suite, options.train, options.validate, options.test, options.seed, options.column
    )
    if "test" in parts:
        parts["test"] = some_questions(parts["test"], options.test_questions)
    for name, part in parts.items():
        write_suite(Path(options.out) / name, part)
        groups = {item[options.column] for item in part.queries.metadata}
        say(
            f"{Path(options.out) / name}: {len(groups)} groups, {len(part.corpus):,} documents, "
            f"{len(part.queries):,} questions"
        )


def split_by_article(
    suite: Suite,
    train: int = 36,
    validate: int = 4,
    test: int = 8,
    seed: int = 13,
    column: str = "article",
) -> dict[str, Suite]:
    """Suites called train, validate and test, of so many groups each; parts of 0 are left out.

    column: the key of a query's metadata that names its group. A document goes with the group of
    the questions that it is judged for, an unjudged one with that of its title, else with none of
    the parts. DataError where a document is judged for two groups, UsageError where there are too
    few groups; where there are more, the rest is in no part.
    """
    groups = query_groups(suite, column)
    names = sorted(set(groups))
    sizes = {"train": train, "validate": validate, "test": test}
    if sum(sizes.values()) > len(names):
        raise UsageError(
            f"{suite.name} has {len(names)} groups by {column!r}; "
            f"train + validate + test = {sum(sizes.values())}"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    bounds = np.cumsum([0, *sizes.values()])
    owners = document_groups(suite, groups)
    return {
        part: part_of(suite, part, groups, owners, {names[i] for i in order[start:end]})
        for part, start, end in zip(sizes, bounds, bounds[1:], strict=False)
        if end > start
    }


def query_groups(suite: Suite, column: str) -> list[str]:
    """The group of each query; DataError where one has none."""
    found = [item.get(column) for item in suite.queries.metadata]
    for query_id, group in zip(suite.queries.query_ids, found, strict=True):
        if not isinstance(group, str) or not group:
            raise DataError(
                f"{suite.name}: query {query_id!r} has no metadata.{column} to split by"
            )
    return [str(group) for group in found]


def document_groups(suite: Suite, groups: Sequence[str]) -> list[str | None]:
    """The group of each document, None for one that belongs to none."""
    owners: list[str | None] = [None] * len(suite.corpus)
    rows = np.repeat(np.arange(len(groups)), np.diff(suite.qrels.indptr))
    for row, doc in zip(rows.tolist(), suite.qrels.docs.tolist(), strict=True):
        if doc >= len(owners):
            continue  # the corpus lacks it
        if owners[doc] not in (None, groups[row]):
            raise DataError(
                f"{suite.name}: document {suite.corpus.doc_ids[doc]!r} is judged for questions of "
                f"{owners[doc]!r} and of {groups[row]!r}; no split keeps them apart"
            )
        owners[doc] = groups[row]
    titles = suite.corpus.fields.get("title")
    if titles is None:
        return owners
    known = {title: owner for title, owner in zip(titles, owners, strict=True) if owner and title}
    return [owner or known.get(title) for owner, title in zip(owners, titles, strict=True)]


def part_of(
    suite: Suite,
    split: str,
    groups: Sequence[str],
    owners: Sequence[str | None],
    chosen: set[str],
) -> Suite:
    """The suite of the *chosen* groups alone."""
    keep = np.array([owner in chosen for owner in owners], np.bool_)
    asked = np.array([group in chosen for group in groups], np.bool_)
    corpus = corpus_part(suite.corpus, keep)
    queries = picked(suite.queries, asked.tolist())
    qrels = qrels_part(suite.qrels, asked, keep)
    return replace(
        suite,
        name=f"{suite.name}-{split}",
        split=split,
        corpus=corpus,
        queries=queries,
        qrels=qrels,
        digest=digest(corpus, queries, qrels, suite.rules),
        folder=None,
        description=f"{len(chosen)} of the groups of {suite.name}, split off by group.",
    )


def corpus_part(corpus: Corpus, keep: NDArray[np.bool_]) -> Corpus:
    """The documents where *keep*, bool (n_docs,), is true."""
    chosen = keep.tolist()
    return Corpus(
        list(compress(corpus.doc_ids, chosen)),
        {name: list(compress(texts, chosen)) for name, texts in corpus.fields.items()},
        {name: Column(c.kind, c.values[keep]) for name, c in corpus.metadata.items()},
        corpus.weights,
    )


def write_suite(folder: Path, suite: Suite) -> None:
    """Write *suite* as a folder that `bench run --suite FOLDER` takes; whole or not at all."""
    with drafted(folder) as draft:
        write_corpus(draft / "corpus.jsonl", suite.corpus)
        write_queries(draft / "queries.jsonl", marked(suite))
        rows = np.repeat(np.arange(len(suite.qrels)), np.diff(suite.qrels.indptr)).tolist()
        ids = [*suite.corpus.doc_ids, *suite.qrels.extra_doc_ids]
        write_qrels(
            draft / "qrels" / f"{suite.split}.tsv",
            [suite.queries.query_ids[row] for row in rows],
            [ids[doc] for doc in suite.qrels.docs.tolist()],
            suite.qrels.grades.tolist(),
        )
        about = {
            "name": suite.name,
            "split": suite.split,
            "description": suite.description,
            "measures": list(suite.measures),
            "depth": suite.depth,
        }
        lines = [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in about.items() if v]
        write_whole(draft / "suite.toml", "\n".join([*lines, *_tables(suite)]) + "\n")


def marked(suite: Suite) -> Queries:
    """The queries, each of those without a judgement saying what split it is of."""
    judged = np.diff(suite.qrels.indptr) > 0
    metadata = [
        dict(item) if known else {**item, "split": suite.split}
        for item, known in zip(suite.queries.metadata, judged.tolist(), strict=True)
    ]
    return replace(suite.queries, metadata=metadata)


def _tables(suite: Suite) -> list[str]:
    """The rules that differ from the usual ones, the fields and the metadata, as TOML."""
    usual = type(suite.rules)()
    rules = [
        f"{name} = {json.dumps(value)}"
        for name, value in vars(suite.rules).items()
        if value != getattr(usual, name)
    ]
    fields = [
        f"{json.dumps(name)} = {{ weight = {float(suite.corpus.weights.get(name, 1.0))!r} }}"
        for name in suite.corpus.fields
    ]
    kinds: Mapping[str, str] = {n: column.kind for n, column in suite.corpus.metadata.items()}
    metadata = [f"{json.dumps(name)} = {json.dumps(kind)}" for name, kind in kinds.items()]
    return [*rules, "", "[fields]", *fields, *(["", "[metadata]", *metadata] if metadata else [])]
