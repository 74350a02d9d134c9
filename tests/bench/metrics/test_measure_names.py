"""How measures are spelled: what is read, what is printed, what is refused."""

import ir_measures
import pytest

from bench.metrics import MEASURES, Measure, label, parse_measure
from qrels.errors import UsageError

SPELLINGS = {
    "nDCG@10": "ndcg_cut_10 ndcg_cut.10 ndcg@10 NDCG@10 ndcg_at_10 nDCG(dcg='log2')@10 nDCG@10",
    "nDCG": "ndcg NDCG nDCG",
    "nDCG(dcg='exp-log2')@10": "nDCG(dcg='exp-log2')@10 nDCG(dcg=exp-log2)@10 nDCG_exp@10 "
    'ndcg_burges@10 nDCG(dcg="exp-log2")@10',
    "RR": "recip_rank mrr MRR RR RR(rel=1)",
    "RR@10": "mrr@10 MRR@10 mrr_at_10 RR@10 rr@10",
    "AP": "map MAP AP",
    "AP@100": "map_cut_100 map_cut.100 map@100 MAP@100 map_at_100 AP@100",
    "AP(rel=2)@100": "map@100-l2 AP(rel=2)@100",
    "P@10": "P_10 P.10 P@10 precision@10 Precision@10 precision_at_10",
    "P": "set_P precision P",
    "R@100": "recall_100 recall.100 recall@100 Recall@100 recall_at_100 R@100",
    "R": "set_recall recall R",
    "Success@10": "success_10 hit_rate@10 hit_rate_at_10 Success@10",
    "Success(rel=3)@5": "hit_rate@5-l3 Success(rel=3)@5",
    "Rprec": "Rprec r_precision RPrec",
    "Rprec(rel=2)": "r_precision-l2 Rprec(rel=2)",
    "Bpref": "bpref BPref Bpref",
    "RBP(rel=1)": "RBP rbp.80 RBP(p=0.8) RBP(rel=1) RBP(p=0.80,rel=1)",
    "RBP(p=0.95,rel=2)@50": "rbp.95@50-l2 RBP(rel=2,p=0.95)@50 RBP(rel = 2, p = .95)@50",
    "ERR@20": "ERR@20 err@20 ERR(max_rel=4)@20",
    "ERR(max_rel=3)@20": "ERR(max_rel=3)@20",
    "Judged@10": "Judged@10 judged@10 judged_at_10",
}
CASES = [
    (spelling, name)
    for name, row in SPELLINGS.items()
    for spelling in row.replace(" = ", "=").replace(", ", ",").split()
] + [("  RBP( rel = 2, p = .95 )@50 ", "RBP(p=0.95,rel=2)@50")]


@pytest.mark.parametrize(("spelling", "name"), CASES)
def test_spellings_mean_one_measure(spelling, name):
    """Every spelling is read as the measure, which prints itself in ir_measures' one."""
    found = parse_measure(spelling)
    assert str(found) == name
    assert found == parse_measure(name)
    assert hash(found) == hash(parse_measure(name))


@pytest.mark.parametrize("name", [name for name in SPELLINGS if name not in ("P", "R")])
def test_ir_measures_reads_what_we_print(name):
    """A printed name is ir_measures' own, parameters included (P and R it only has at a cutoff)."""
    theirs = ir_measures.parse_measure(name)
    if "max_rel" not in name:  # our extension of ERR
        theirs.validate_params()
    assert parse_measure(name).name == theirs.NAME


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nDGC@10", "unknown measure 'nDGC'; did you mean 'nDCG'?"),
        ("mrrr@10", "unknown measure 'mrrr'; did you mean 'RR'?"),
        ("frobnicate", "unknown measure 'frobnicate'; allowed: AP, Bpref, ERR"),
        ("recall@10,20", "cutoff '10,20'; allowed: a whole number from 1 to 1000000"),
        ("nDCG@0", "measure 'nDCG@0': cutoff '0'; allowed: a whole number from 1"),
        ("nDCG@-5", "cutoff '-5'"),
        ("nDCG@1000001", "cutoff '1000001'"),
        ("nDCG@ten", "cutoff 'ten'"),
        ("nDCG@", "cutoff ''"),
        ("nDCG@²", "cutoff '²'"),
        ("nDCG@1.5", "cutoff '1.5'"),
        ("AP(rel=0)", "rel is '0'; allowed: a whole number from 1 to 32767"),
        ("AP(rel=-1)@5", "rel is '-1'"),
        ("AP(rel=high)", "rel is 'high'"),
        ("AP(level=2)", "unknown parameter of AP 'level'; "),
        ("AP(relx=2)", "did you mean 'rel'?"),
        ("nDCG(rel=2)", "unknown parameter of nDCG 'rel'; allowed: dcg"),
        ("nDCG@10-l2", "unknown parameter of nDCG 'rel'"),
        ("Judged(rel=1)", "unknown parameter of Judged 'rel'; allowed: none"),
        ("nDCG(dcg='exp')", "dcg is 'exp'; allowed: one of 'log2', 'exp-log2'"),
        ("RBP(p=1)", "p is '1'; allowed: a number between 0 and 1"),
        ("RBP(p=nan)", "p is 'nan'"),
        ("ERR(max_rel=0)", "max_rel is '0'"),
        ("AP(2)", "cannot read '2'; expected key=value"),
        ("AP(rel=)", "cannot read 'rel='"),
        ("AP(rel=1, rel=2)", "cannot read 'rel=2'; expected key=value, each key once"),
        ("AP(rel=1", "cannot read measure 'AP(rel=1'"),
        ("", "cannot read measure ''"),
        ("@10", "cannot read measure '@10'"),
    ],
)
def test_a_wrong_name_is_one_clear_line(text, words):
    """What cannot be read is a UsageError naming the value and what is allowed."""
    with pytest.raises(UsageError) as caught:
        parse_measure(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("RR@10", "RR(rel=2)@10"),
        ("RR(rel=1)@10", "RR@10"),
        ("AP(rel=3)", "AP(rel=3)"),
        ("RBP", "RBP(rel=2)"),
        ("nDCG@10", "nDCG@10"),
        ("Judged@10", "Judged@10"),
    ],
)
def test_level_is_for_binary_measures_that_name_none(text, name):
    """A suite's relevance level fills in a binary measure's own, and touches nothing else."""
    assert str(parse_measure(text, level=2)) == name


@pytest.mark.parametrize(
    ("name", "familiar"),
    [
        ("RR@10", "MRR@10"),
        ("AP", "MAP"),
        ("AP(rel=2)@100", "MAP(rel=2)@100"),
        ("R@100", "R@100"),
        ("Rprec", "Rprec"),
        ("nDCG@10", "nDCG@10"),
    ],
)
def test_label_is_the_familiar_name(name, familiar):
    """Tables say MRR and MAP; every other name stays."""
    assert label(parse_measure(name)) == familiar


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_by_constructor_equals_the_parsed_one(name):
    """Measure(name, cutoff) is the measure with its defaults; only RBP's level is spelled out."""
    params = (("rel", 1),) if name == "RBP" else ()
    assert Measure(name, 10, params) == parse_measure(f"{name}@10")
    assert MEASURES[name].summary
