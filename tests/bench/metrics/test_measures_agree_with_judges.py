"""Our measures against independent judges: pytrec_eval (trec_eval's own code), gdeval, ir_measures.

Where a judge departs from trec_eval's order of ties, or leaves queries out, the test says so.
"""

import shutil

import ir_measures
import numpy as np
import pytest
import pytrec_eval

from bench.judge import judge
from bench.metrics import parse_measure
from qrels.data import UNJUDGED

DEPTHS = [1, 2, 7, 20, 50, 100, 120, 200]
CUTOFFS = (1, 3, 5, 10, 20, 100, 1000)
PLAIN = {"RR": "recip_rank", "AP": "map", "Rprec": "Rprec", "Bpref": "bpref"} | {
    "P": "set_P",
    "R": "set_recall",
    "nDCG": "ndcg",
}
CUT = {"AP": "map_cut", "P": "P", "R": "recall", "Success": "success", "nDCG": "ndcg_cut"}
NAMES = PLAIN | {f"{ours}@{k}": f"{name}_{k}" for ours, name in CUT.items() for k in CUTOFFS}


@pytest.mark.parametrize("rel", [1, 2, 4])
@pytest.mark.parametrize("depth", DEPTHS)
def test_equals_trec_eval(random_batch, depth, rel):
    """Every measure that trec_eval has equals its value to 1e-9, at every cutoff and level.

    pytrec_eval leaves out a query that the run misses; trec_eval -c, and we, give it 0.
    """
    batch = random_batch(seed=depth, depth=depth)
    evaluator = pytrec_eval.RelevanceEvaluator(
        batch.qrels_dict, set(NAMES.values()), relevance_level=rel
    )
    theirs = evaluator.evaluate(batch.run_dict)
    assert 0 < len(theirs) < len(batch.qrels)
    judged = judge(batch.run, batch.qrels)
    for ours, name in NAMES.items():
        expected = batch.column({query: values[name] for query, values in theirs.items()})
        found = parse_measure(ours, level=rel).values(judged)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9, err_msg=f"{ours} {name}")


def test_the_random_batches_hold_every_odd_case(random_batch):
    """The comparison with trec_eval covers ties, negative grades and all kinds of absence."""
    batch = random_batch(seed=50, depth=50)
    judged = judge(batch.run, batch.qrels)
    scores, docs = batch.run.scores, batch.run.docs
    assert ((scores[:, 1:] == scores[:, :-1]) & (docs[:, 1:] >= 0)).mean() > 0.3
    assert (judged.grades[judged.present] == UNJUDGED).any()
    assert ((judged.grades < 0) & (judged.grades > UNJUDGED)).any()
    assert (judged.relevant(1) == 0).any()
    assert not judged.present.any(axis=1).all()
    assert (batch.qrels.docs >= 80).any()


@pytest.mark.skipif(shutil.which("perl") is None, reason="gdeval.pl needs perl")
@pytest.mark.parametrize("cutoff", [1, 5, 20])
def test_equals_gdeval(random_batch, cutoff):
    """ERR and exponential nDCG equal gdeval to the five digits it prints."""
    names = [f"ERR@{cutoff}", f"nDCG(dcg='exp-log2')@{cutoff}"]
    batch = random_batch(seed=cutoff, depth=40)
    judged = judge(batch.run, batch.qrels)
    theirs = _ir_measures(ir_measures.gdeval, names, batch)
    for name in names:
        found = parse_measure(name).values(judged)
        np.testing.assert_allclose(found, theirs[name], rtol=0, atol=0.5e-5 + 1e-9, err_msg=name)


@pytest.mark.parametrize("depth", [3, 30])
def test_equals_ir_measures_without_ties(random_batch, depth):
    """By ir_measures' own spelling, default providers agree to 1e-9 where no scores are tied.

    Its RR@k and Judged order equal scores by doc_id up, not down as trec_eval does.
    """
    names = ["RR@1", "RR@10", "RR", "Judged@5", "Judged@20", "nDCG@10", "nDCG", "AP(rel=2)@100"]
    names += ["P(rel=2)@5", "R(rel=3)@10", "Success(rel=2)@5", "Rprec(rel=2)", "Bpref(rel=2)"]
    batch = random_batch(seed=depth, depth=depth, levels=None)
    judged = judge(batch.run, batch.qrels)
    theirs = _ir_measures(ir_measures, names, batch)
    for name in names:
        assert str(parse_measure(name)) == name
        found = parse_measure(name).values(judged)
        np.testing.assert_allclose(found, theirs[name], rtol=0, atol=1e-9, err_msg=name)


def test_ir_measures_rr_at_k_departs_in_ties():
    """Among equal scores doc_id descends, in RR@10 too; ir_measures' RR@10 alone ascends there."""
    qrels, run = {"1": {"a": 1, "b": 0}}, {"1": {"a": 1.0, "b": 1.0}}
    names = ["RR", "RR@10"]
    measures = [ir_measures.parse_measure(name) for name in names]
    theirs = ir_measures.calc_aggregate(measures, qrels, run)
    assert [theirs[measure] for measure in measures] == [0.5, 1.0]


def _ir_measures(provider, names, batch):
    """By name, float64 (n_queries,) of what a provider gives."""
    measures = {ir_measures.parse_measure(name): name for name in names}
    found = {name: {} for name in names}
    for metric in provider.iter_calc(list(measures), batch.qrels_dict, batch.run_dict):
        found[measures[metric.measure]][metric.query_id] = metric.value
    return {name: batch.column(values) for name, values in found.items()}


def _grades(judged, query):
    """The grades of one query's retrieved documents, 0 where unjudged or negative."""
    row = judged.grades[query][judged.present[query]]
    return [max(int(grade), 0) for grade in row]


def _rbp(grades, p, rel):
    total, weight = 0.0, 1.0
    for grade in grades:
        total += weight * (grade >= rel)
        weight *= p
    return (1 - p) * total


def _err(grades, largest):
    total, going = 0.0, 1.0
    for rank, grade in enumerate(grades, start=1):
        stops = (2**grade - 1) / 2**largest
        total += going * stops / rank
        going *= 1 - stops
    return total


@pytest.mark.parametrize("cutoff", [None, 1, 10, 500])
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        pytest.param("RBP", lambda grades: _rbp(grades, 0.8, 1), id="RBP"),
        pytest.param("RBP(p=0.5,rel=3)", lambda grades: _rbp(grades, 0.5, 3), id="RBP-rel"),
        pytest.param("ERR", lambda grades: _err(grades, 4), id="ERR"),
        pytest.param("ERR(max_rel=7)", lambda grades: _err(grades, 7), id="ERR-max"),
    ],
)
def test_equals_plain_loops(random_batch, name, reference, cutoff):
    """RBP and ERR equal their definitions, written as loops, to 1e-12."""
    batch = random_batch(seed=3, depth=150)
    judged = judge(batch.run, batch.qrels)
    found = parse_measure(name if cutoff is None else f"{name}@{cutoff}").values(judged)
    expected = [reference(_grades(judged, query)[:cutoff]) for query in range(len(judged))]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
