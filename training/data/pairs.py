"""Pairs of a question and a passage, as JSON lines, as a suite."""

from pathlib import Path

import numpy as np

from qrels.data import Corpus, Queries, Rules, Suite
from qrels.errors import DataError
from qrels.files import read_objects, shown
from qrels.positions import make_qrels, positions
from qrels.suites import digest

KEYS = ("question", "passage")


def read_pairs(path: Path | str) -> Suite:
    """The suite in lines of {"question": ..., "passage": ...}; its one split is called "pairs".

    Equal passages are one document, equal questions one query with several relevant documents.
    DataError, with file and line, where one of the two is missing, empty or no string.
    """
    path = Path(path)
    rows = []
    for line, row in read_objects(path):
        for key in KEYS:
            value = row.get(key)
            if not isinstance(value, str) or not value.strip():
                raise DataError(f"{path}:{line}: {key} = {shown(value)}; expected a text")
        rows.append((row["question"], row["passage"]))
    pairs = list(dict.fromkeys(rows))
    asked, queries_of = positions([question for question, _ in pairs])
    passages, docs_of = positions([passage for _, passage in pairs])
    corpus = Corpus([f"p{i}" for i in range(len(passages))], {"text": passages})
    queries = Queries([f"q{i}" for i in range(len(asked))], asked, [{} for _ in asked])
    qrels = make_qrels(queries_of, docs_of, np.ones(len(pairs), np.int16), len(asked))
    found = digest(corpus, queries, qrels, Rules())
    return Suite(path.name.partition(".")[0], "", "pairs", corpus, queries, qrels, found)
