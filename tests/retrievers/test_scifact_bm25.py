"""BM25 on real text, measured by trec_eval's own code."""

import numpy as np
import pytest
import pytrec_eval

from qrels.suites import load_suite
from retrievers.bm25 import BM25

PUBLISHED = {"lucene-defaults": (1.2, 0.75, 0.679), "anserini-defaults": (0.9, 0.4, 0.676)}


@pytest.fixture(scope="module")
def scifact(shared):
    folder = shared / "scifact"
    if not folder.is_dir():
        pytest.skip(f"no SciFact at {folder}")
    return load_suite(folder, "test")


def judgements(suite):
    """{query_id: {doc_id: grade}} as pytrec_eval takes it."""
    ids = [*suite.corpus.doc_ids, *suite.qrels.extra_doc_ids]
    rows = zip(suite.qrels.indptr[:-1], suite.qrels.indptr[1:], strict=True)
    return {
        query_id: {ids[suite.qrels.docs[i]]: int(suite.qrels.grades[i]) for i in range(start, end)}
        for query_id, (start, end) in zip(suite.queries.query_ids, rows, strict=True)
    }


@pytest.mark.parametrize(("k1", "b", "expected"), PUBLISHED.values(), ids=PUBLISHED)
def test_ndcg_on_scifact_is_the_known_figure(scifact, k1, b, expected):
    """nDCG@10 over all 300 test queries is within 0.003 of the catalogue's."""
    retriever = BM25(k1=k1, b=b)
    retriever.index(scifact.corpus)
    run = retriever.search(scifact.queries.texts, 100)
    rankings = {
        query_id: {
            scifact.corpus.doc_ids[doc]: float(score)
            for doc, score in zip(docs, scores, strict=True)
            if doc >= 0
        }
        for query_id, docs, scores in zip(scifact.queries.query_ids, *run, strict=True)
    }
    found = pytrec_eval.RelevanceEvaluator(judgements(scifact), {"ndcg_cut.10"}).evaluate(rankings)
    assert len(scifact.queries) == 300
    assert np.sum([values["ndcg_cut_10"] for values in found.values()]) / 300 == pytest.approx(
        expected, abs=0.003
    )
