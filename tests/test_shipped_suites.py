"""The shipped suites are what their logs and datasheets say."""

import json
from pathlib import Path

import pytest

from bench.config import parse_system
from bench.judge import judge
from bench.metrics import parse_measure
from bench.system import search_suite
from qrels.suites import SETS, load_suite, shipped, splits

ALL = [(name, split) for name in shipped() for split in splits(SETS / name)]


def test_there_is_a_suite_of_models():
    """The README's first command has something to run."""
    assert "models" in shipped()


@pytest.mark.parametrize(("name", "split"), ALL)
def test_a_suite_is_whole(name, split):
    """Ids resolve, every query has a relevant document, and the measures can be read."""
    suite = load_suite(name, split)
    assert len(suite.qrels.extra_doc_ids) == 0
    level = suite.rules.relevance_level
    for row in range(len(suite.queries)):
        start, stop = suite.qrels.indptr[row : row + 2]
        assert (suite.qrels.grades[start:stop] >= level).any(), suite.queries.query_ids[row]
    for measure in suite.measures:
        parse_measure(measure, level)


@pytest.mark.parametrize("name", shipped())
def test_splits_share_no_query(name):
    """Choosing and reporting never use the same queries."""
    ids = [set(load_suite(name, split).queries.query_ids) for split in splits(SETS / name)]
    assert sum(map(len, ids)) == len(set.union(*ids))


@pytest.mark.parametrize("name", shipped())
def test_texts_are_all_different(name):
    """No two queries and no two documents with a card are the same."""
    folder = Path(SETS / name)
    for file in ("corpus.jsonl", "queries.jsonl"):
        rows = map(json.loads, (folder / file).read_text(encoding="utf-8").splitlines())
        texts = [row["text"] for row in rows if row["text"]]
        assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("name", shipped())
def test_what_lexical_search_returns_is_judged(name):
    """Judged@10 over the queries that BM25 answers is at least .98, by rows of the log alone."""
    suite = load_suite(name)
    run = search_suite(suite, parse_system("bm25"))
    found = parse_measure("Judged@10").values(judge(run, suite.qrels))
    assert found[(run.docs >= 0).any(axis=1)].mean() >= 0.98
