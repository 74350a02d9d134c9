"""What is measured from dictionaries is what is measured from files."""

import random

import numpy as np
import pytest

from bench.from_dicts import judge_dicts
from bench.judge import judge
from bench.metrics import parse_measure
from qrels.coded import Coded
from qrels.errors import UsageError
from qrels.positions import positions
from qrels.trec import Judgements, RunRows, align

pytrec_eval = pytest.importorskip("pytrec_eval")

NAMES = {
    "ndcg": "nDCG",
    "ndcg_cut_10": "nDCG@10",
    "recip_rank": "RR",
    "map": "AP",
    "bpref": "Bpref",
}
TREC = {"ndcg", "ndcg_cut", "recip_rank", "map", "bpref", "recall"}


def coded(ids):
    names, which = positions(ids)
    return Coded(names, which.astype(np.int32))


def drawn(seed: int, levels: int = 20):
    """Qrels and a run with many equal scores, negative grades and queries that one side lacks."""
    rng = random.Random(seed)
    ids = [f"d{i}" for i in range(60)] + ["é", "中", "D1"]
    qrels = {f"q{i}": {d: rng.randint(-1, 3) for d in rng.sample(ids, 12)} for i in range(9)}
    run = {
        f"q{i}": {d: rng.randrange(levels) / 7 for d in rng.sample(ids, rng.randint(1, 40))}
        for i in range(2, 11)
    }
    return qrels, run


@pytest.mark.parametrize("seed", range(5))
def test_dictionaries_give_what_files_give(seed):
    """Grades, padding and the ideal ranking are those of the rows of files."""
    qrels, run = drawn(seed, 20 if seed % 2 else 10**6)
    pairs = [(q, d, g) for q, own in qrels.items() for d, g in own.items()]
    ranked = [(q, d, s) for q, own in run.items() for d, s in own.items()]
    queries, docs, grades = zip(*pairs, strict=True)
    lines = np.arange(len(pairs))
    judgements = Judgements(list(queries), list(docs), np.array(grades, np.int16), lines, "qrels")
    queries, docs, scores = zip(*ranked, strict=True)
    both = align(judgements, RunRows(coded(queries), coded(docs), np.array(scores, np.float32), ""))
    expected, found = judge(both.run, both.qrels), judge_dicts(qrels, run)
    assert found.grades.tolist() == expected.grades.tolist()
    assert found.present.tolist() == expected.present.tolist()
    for mine, theirs in zip(found.ideal, expected.ideal, strict=True):
        assert mine.tolist() == theirs.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_measures_from_dictionaries_are_those_of_trec_eval(seed):
    """Every query's value, ties and negative grades among them."""
    qrels, run = drawn(seed, 20 if seed % 2 else 10**6)
    qrels = {query: own for query, own in qrels.items() if query in run}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, TREC).evaluate(run)
    judged = judge_dicts(qrels, run)
    for name, own in NAMES.items():
        values = parse_measure(own).values(judged)
        assert values.tolist() == pytest.approx([theirs[query][name] for query in qrels])


@pytest.mark.parametrize(
    ("qrels", "run", "message"),
    [
        ({"q": {"a": 1}}, {"q": {"a": float("nan")}}, "score of 'a' is nan"),
        ({"q": {"a": 1}}, {"q": {"b": 1.0, "a": 1e39}}, "score of 'a' is 1e"),
        ({"q": {"a": 40000}}, {"q": {"a": 1.0}}, "grade is out of range"),
    ],
)
def test_what_cannot_be_measured_is_refused(qrels, run, message):
    """One line that names the value."""
    with pytest.raises(UsageError, match=message):
        judge_dicts(qrels, run)


def test_without_a_query_or_a_ranking_there_is_nothing():
    """Empty rows for queries that the run lacks, no rows without qrels."""
    qrels, run = drawn(1)
    empty = judge_dicts(qrels, {})
    assert empty.present.tolist() == [[False]] * len(qrels)
    assert len(judge_dicts({}, run)) == 0
