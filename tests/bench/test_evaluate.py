"""`bench evaluate`: a run file against a qrels file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import pytrec_eval

from bench.evaluate import evaluate_files, format_json, format_table
from qrels.errors import DataError, UsageError

QRELS = "q1 0 a 2\nq1 0 b 0\nq2 0 c 1\nq3 0 a 0\nq4 0 d 1\n"
# q1 has a tie that doc_id decides, q2 finds c second, q4 is missing, q9 is not judged
RUN = """\
q1 Q0 a 1 1.5 tag
q1 Q0 b 2 1.5 tag
q2 Q0 x 1 9 tag
q2 Q0 c 2 8 tag
q3 Q0 a 1 1 tag
q9 Q0 a 1 1 tag
"""
# nDCG@10 on the full judgements, from the catalogue of the shared data
CATALOGUE = {
    "bm25": "0.5058",
    "bm25_rm3": "0.5216",
    "d_bert_kd_tasb": "0.7210",
    "open_ai_ada2": "0.7035",
    "splade_p_p_ensemble_distil": "0.7308",
    "rep_llama": "0.7384",
}


@pytest.fixture
def files(tmp_path):
    """The qrels and the run above, as files."""
    qrels, run = tmp_path / "qrels.txt", tmp_path / "run.trec"
    qrels.write_text(QRELS)
    run.write_text(RUN)
    return qrels, run


def test_table_by_hand(files):
    """The table has each query's values, then the means over all four, then what was not there."""
    result = evaluate_files(*files, ["mrr@10", "P_1"])
    assert format_table(result, per_query=True).split("\n") == [
        "RR@10                 \tq1\t0.5000",
        "P@1                   \tq1\t0.0000",
        "RR@10                 \tq2\t0.5000",
        "P@1                   \tq2\t0.0000",
        "RR@10                 \tq3\t0.0000",
        "P@1                   \tq3\t0.0000",
        "RR@10                 \tq4\t0.0000",
        "P@1                   \tq4\t0.0000",
        "RR@10                 \tall\t0.2500",
        "P@1                   \tall\t0.0000",
        "queries               \tall\t4",
        "missing               \tall\t1",
        "no_relevant           \tall\t1",
        "not_judged            \tall\t1",
    ]


def test_json_by_hand(files):
    """The JSON has the same numbers with the ids, and values a query only where asked for."""
    result = evaluate_files(*files, ["RR"])
    expected = {
        "queries": 4,
        "missing": ["q4"],
        "no_relevant": ["q3"],
        "not_judged": 1,
        "measures": {"RR": 0.25},
    }
    assert json.loads(format_json(result)) == expected
    found = json.loads(format_json(result, per_query=True))["per_query"]
    assert found == {"q1": {"RR": 0.5}, "q2": {"RR": 0.5}, "q3": {"RR": 0.0}, "q4": {"RR": 0.0}}


def test_scores_equal_as_float32_are_ties(files):
    """Scores that differ beyond float32 alone are ordered by doc_id down, as pytrec_eval does."""
    qrels, run = files
    qrels.write_text("q1 0 a 1\n")
    run.write_text("q1 Q0 a 1 1.00000001 tag\nq1 Q0 b 2 1 tag\n")
    assert evaluate_files(qrels, run, ["RR"]).means == {"RR": 0.5}
    evaluator = pytrec_eval.RelevanceEvaluator({"q1": {"a": 1}}, {"recip_rank"})
    assert evaluator.evaluate({"q1": {"a": 1.00000001, "b": 1.0}})["q1"]["recip_rank"] == 0.5


def test_default_measures(files):
    """Without names the usual six are given, Judged@10 among them, and no counts that are 0."""
    qrels, run = files
    qrels.write_text("q1 0 a 2\n")
    run.write_text("q1 Q0 a 1 1.5 tag\n")
    table = format_table(evaluate_files(qrels, run))
    assert [line.split("\t")[0].strip() for line in table.split("\n")] == [
        *("nDCG@10", "RR@10", "AP", "R@100", "P@10", "Judged@10", "queries")
    ]


def test_files_without_a_common_query_are_refused(files):
    """A run of other queries is an error naming both files, not a row of zeros."""
    qrels, run = files
    run.write_text("q8 Q0 a 1 1.5 tag\n")
    with pytest.raises(DataError, match=r"run\.trec: none of its queries is in .*qrels\.txt"):
        evaluate_files(qrels, run)


def test_a_wrong_measure_is_found_before_any_file(tmp_path):
    """A mistyped measure is reported even where the files do not exist."""
    with pytest.raises(UsageError, match="unknown measure"):
        evaluate_files(tmp_path / "none", tmp_path / "none", ["nDGC@10"])


@pytest.mark.parametrize("name", CATALOGUE)
def test_shared_runs_have_the_catalogues_figures(shared, name):
    """The runs on TREC DL 2019 print the catalogue's nDCG@10, and equal pytrec_eval to 1e-9."""
    folder = shared / "trec-dl19-pool"
    qrels, run = folder / "qrels" / "test_full.tsv", folder / "runs" / f"{name}.top100.trec"
    result = evaluate_files(qrels, run, ["nDCG@10", "RR", "AP(rel=2)", "R(rel=2)@100", "Bpref"])
    assert format_table(result).split("\n")[0].split("\t")[1:] == ["all", CATALOGUE[name]]
    theirs = _pytrec_eval(qrels, run)
    for measure, values in result.values.items():
        assert dict(zip(result.query_ids, values, strict=True)) == pytest.approx(
            theirs[measure], abs=1e-9
        )


def _pytrec_eval(qrels: Path, run: Path) -> dict[str, dict[str, float]]:
    """By our measure name and by query."""
    judgements: dict[str, dict[str, int]] = {}
    for line in qrels.read_text().splitlines()[1:]:
        query_id, doc_id, grade = line.split("\t")
        judgements.setdefault(query_id, {})[doc_id] = int(grade)
    with run.open() as lines:
        ranking = pytrec_eval.parse_run(lines)
    found = {}
    names = {1: {"nDCG@10": "ndcg_cut_10", "RR": "recip_rank", "Bpref": "bpref"}}
    names[2] = {"AP(rel=2)": "map", "R(rel=2)@100": "recall_100"}
    for level, table in names.items():
        evaluator = pytrec_eval.RelevanceEvaluator(judgements, set(table.values()), level)
        values = evaluator.evaluate(ranking)
        for ours, name in table.items():
            found[ours] = {query_id: row[name] for query_id, row in values.items()}
    return found


def test_imports_only_what_it_needs():
    """Measuring a file loads neither pandas nor scipy, nor any model library."""
    heavy = {"pandas", "scipy", "torch", "transformers", "faiss", "matplotlib", "bm25s", "pyarrow"}
    code = f"import sys, bench.evaluate; print({heavy!r} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
