"""Corpus, topics and judgements of an ir-datasets ID; the package is optional."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from qrels.beir import check_ids
from qrels.data import Corpus, Queries
from qrels.errors import DataError, MissingPackageError, UsageError
from qrels.trec import Judgements, check_pairs


def read_irds(identifier: str) -> tuple[Corpus, Queries, Judgements]:
    """What ir-datasets gives for *identifier*, which it may download first.

    Documents have the fields title and text where they hold both, else one text. Raises
    MissingPackageError without the package, UsageError for an ID that it does not know or that
    has no documents, queries or qrels.
    """
    try:
        import ir_datasets
    except ImportError as error:
        raise MissingPackageError(
            f'irds:{identifier} needs ir-datasets: pip install "retrieval-bench[irds]"'
        ) from error
    try:
        dataset = ir_datasets.load(identifier)
    except KeyError as error:
        raise UsageError(f"ir-datasets has no dataset {identifier!r}") from error
    for kind in ("docs", "queries", "qrels"):
        if not getattr(dataset, f"has_{kind}")():
            raise UsageError(f"the ir-datasets dataset {identifier!r} has no {kind}")
    corpus = _corpus(list(dataset.docs_iter()), identifier)
    queries = _queries(list(dataset.queries_iter()), identifier)
    return corpus, queries, _judgements(list(dataset.qrels_iter()), identifier)


Items = Sequence[Any]  # ir-datasets makes a NamedTuple of its own for every dataset


def _corpus(docs: Items, identifier: str) -> Corpus:
    if not docs:
        raise DataError(f"{identifier}: has no documents")
    doc_ids = [doc.doc_id for doc in docs]
    check_ids(doc_ids, lambda i: f"{identifier}: document {i + 1}")
    if hasattr(docs[0], "title") and hasattr(docs[0], "text"):
        fields = {name: [getattr(doc, name) or "" for doc in docs] for name in ("title", "text")}
    else:
        fields = {"text": [_text(doc) for doc in docs]}
    return Corpus(doc_ids, fields, {}, dict.fromkeys(fields, 1.0))


def _queries(queries: Items, identifier: str) -> Queries:
    query_ids = [query.query_id for query in queries]
    check_ids(query_ids, lambda i: f"{identifier}: query {i + 1}")
    return Queries(query_ids, [_text(query) for query in queries], [{}] * len(queries))


def _judgements(rows: Items, identifier: str) -> Judgements:
    found = Judgements(
        [row.query_id for row in rows],
        [row.doc_id for row in rows],
        np.array([row.relevance for row in rows], np.int16),
        np.arange(1, len(rows) + 1),
        identifier,
    )
    check_pairs(found.query_ids, found.doc_ids, found.lines, identifier)
    return found


def _text(item: Any) -> str:  # as above
    """What ir-datasets itself calls the default text of an item."""
    return str(item.default_text() if hasattr(item, "default_text") else item.text)
