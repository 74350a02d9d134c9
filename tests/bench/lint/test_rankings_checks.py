"""Every check of rankings and of run files finds what it is there for, and only that."""

import numpy as np
import pytest

from bench.lint import ALL, lint_run
from bench.lint.findings import found
from bench.lint.rankings import RANKINGS, Rankings
from qrels.data import ABSENT, Qrels, Run
from qrels.errors import DataError
from qrels.trec import read_judgements


def rankings(docs, scores=None, grades=None, measures=("nDCG@10",), n_docs=None):
    """Rows of positions, padded; scores go down by one unless given; grades: (n, documents)."""
    depth = max(map(len, docs))
    padded = np.array([[*row, *[ABSENT] * (depth - len(row))] for row in docs], np.int32)
    values = np.broadcast_to(np.arange(depth, 0, -1, dtype=np.float32), padded.shape).copy()
    if scores is not None:
        values = np.array(scores, np.float32)
    values = np.where(padded == ABSENT, -np.inf, values).astype(np.float32)
    qrels = None
    if grades is not None:
        kept = [[(doc, g) for doc, g in enumerate(row) if g is not None] for row in grades]
        pairs = [pair for row in kept for pair in row]
        qrels = Qrels(
            np.cumsum([0, *map(len, kept)]).astype(np.int64),
            np.array([doc for doc, _ in pairs], np.int32),
            np.array([grade for _, grade in pairs], np.int16),
        )
    ids = [f"q{i}" for i in range(len(docs))]
    return Rankings("sys", ids, Run(padded, values), qrels, measures, n_docs)


CLEAN = rankings([[*range(i, 12), *range(i)] for i in range(4)])
HALF = [[*row] for row in CLEAN.run.docs.tolist()]


def test_good_rankings_have_no_finding():
    """Twelve documents a query, all orders different, all scores too."""
    assert found(RANKINGS, CLEAN) == []


@pytest.mark.parametrize(
    ("case", "code", "level", "says"),
    [
        (
            rankings([[0, 1, 2]] * 2, [[5, 5, 5], [3, 2, 1]]),
            "R1",
            "warning",
            "1 of 2 queries: 'q0'",
        ),
        (rankings([[0, 1, 2], [2, 0, 1]], [[5, 5, 5]] * 2), "R1", "error", "2 of 2 queries"),
        (rankings([[0, 1, 2], [2, 0, 1]], [[5, 5, 4], [3, 2, 1]]), "R2", "warning", "25%"),
        (rankings([[0, 1, 2]] * 3), "R3", "error", "3 of 3 queries"),
        (rankings([[0, 1, 2]] * 2 + [[1, 0, 2]]), "R3", "warning", "2 of 3 queries"),
        (rankings([[0], [], [1], [2]]), "R4", "warning", "1 of 4 queries: 'q1'"),
        (rankings([[], []] * 2, [[]] * 4), "R4", "error", "4 of 4"),
        (rankings([*HALF, [1, 2]]), "R5", "note", "1 of 5 queries: 'q4'"),
        (rankings([[1, 2], [2, 1]]), "R5", "warning", "fewer than 10"),
        (rankings(HALF, measures=["R@100"], n_docs=50), "R6", "warning", "12 documents"),
        (rankings([[0, 1]], grades=[[1, None]]), "R7", "warning", "1 of 2 documents"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) == 2 else "",
)
def test_each_fault_of_a_ranking_is_found(case, code, level, says):
    """The finding names the system, how many queries, and the first of them."""
    (one,) = [finding for finding in found(RANKINGS, case) if finding.code == code]
    assert one.level == level
    assert says in one.message
    assert one.message.startswith("sys: ")
    assert bool(one.remedy) is (level != "note")


@pytest.mark.parametrize(
    ("case", "code"),
    [
        (rankings([[0, 1], [1, 0]], [[5, 5], [3, 3]]), "R1"),
        (rankings([[0, 1, 2], [2, 0, 1]], [[5, 5, 5], [3, 2, 1]]), "R2"),
        (rankings([[0, 1, 2]] * 2), "R3"),
        (rankings([[0, 1], [1, 0]], n_docs=2), "R5"),
        (rankings(HALF, measures=["R@100"], n_docs=12), "R6"),
        (rankings(HALF, measures=["nDCG", "P@12"]), "R6"),
        (rankings([[0, 1]], grades=[[1, 0]]), "R7"),
        (rankings([[0, 1]]), "R7"),
    ],
    ids=[
        "two equal scores", "constant rows are R1's", "two queries may agree", "no more documents",
        "as deep as the corpus", "cutoffs within the depth", "all judged", "no qrels at hand",
    ],
)  # fmt: skip
def test_what_is_no_fault_is_not_found(case, code):
    """Each is close to a fault and none."""
    assert code not in [finding.code for finding in found(RANKINGS, case)]


def test_few_unjudged_documents_are_a_note_with_the_bounds():
    """Ten of eleven judged: the interval stands beside the value, and there is nothing to mend."""
    case = rankings([list(range(10)), [10]], grades=[[1] * 10, [None] * 10 + [None]])
    (one,) = [finding for finding in found(RANKINGS, case) if finding.code == "R7"]
    assert one.level == "note"
    assert "nDCG@10 is 0.500, and from 0.500 to 1.000" in one.message


RUN = ["q1 Q0 a 1 3 t", "q1 Q0 b 2 2 t", "q2 Q0 b 1 2.5 t", "q2 Q0 c 2 1 t"]


def lint_lines(tmp_path, lines, **more):
    path = tmp_path / "x.trec"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [one for one in lint_run(path, **more) if one.code.startswith("F")]


def test_a_good_run_file_has_no_finding(tmp_path):
    """No matter in which order its lines are, as long as ranks follow the scores."""
    assert lint_lines(tmp_path, RUN) == []
    assert lint_lines(tmp_path, RUN[::-1]) == []


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("q2 Q0 d 3 t", "F1", "1 lines have not 6 columns, line 5"),
        ("q2 Q0 d 3 nan t", "F2", "line 5"),
        ("q2 Q0 d 3 -inf t", "F2", "line 5"),
        ("q2 Q0 d 3 1e39 t", "F2", "line 5"),
        ("q2 Q0 d 3 high t", "F2", "line 5"),
        ("q2 Q0 b 3 0.5 t", "F3", "'b' of query 'q2'"),
        ("q2 Q0 d 3 9 t", "F4", "1 of 2 queries: 'q2'"),
    ],
)
def test_each_fault_of_a_run_file_is_found(tmp_path, line, code, says):
    """What a reader would refuse is a finding beside the others, not the end."""
    (one,) = lint_lines(tmp_path, [*RUN, line])
    assert one.code == code
    assert says in one.message
    assert one.level == ("warning" if code == "F4" else "error")


def test_equal_scores_agree_with_any_rank(tmp_path):
    """Ties are ordered by document id, whatever the rank column says."""
    assert lint_lines(tmp_path, ["q Q0 a 2 1 t", "q Q0 b 1 1 t"]) == []


def test_scores_are_compared_as_they_are_ranked(tmp_path):
    """Two scores that are one 32-bit number are no disagreement."""
    assert lint_lines(tmp_path, ["q Q0 a 1 0.1 t", "q Q0 b 2 0.1000000001 t"]) == []


def test_a_space_that_is_not_ascii_belongs_to_the_id(tmp_path):
    """Columns end where trec_eval ends them."""
    assert lint_lines(tmp_path, ["q Q0 a\u00a0b 1 1 t"]) == []


def test_unknown_ids_are_found_against_a_suite(tmp_path, toy_suite):
    """A document of another corpus is an error, a query of another split is left out."""
    lines = ["q1 Q0 cats 1 2 t", "q1 Q0 nine 2 1 t", "q9 Q0 cats 1 2 t"]
    found_ = {one.code: one for one in lint_lines(tmp_path, lines, suite=toy_suite)}
    assert found_["F5"].level == "error"
    assert "'nine'" in found_["F5"].message
    assert found_["F6"].level == "warning"
    assert "'q9'" in found_["F6"].message
    assert lint_lines(tmp_path, lines[:1], suite=toy_suite) == []


def test_a_run_of_another_split_altogether_is_an_error(tmp_path):
    """Not one query is known."""
    (tmp_path / "qrels").write_text("z 0 a 1\n")
    judgements = read_judgements(tmp_path / "qrels")
    (one,) = lint_lines(tmp_path, RUN, judgements=judgements)
    assert (one.code, one.level) == ("F6", "error")


def test_what_is_missing_and_unjudged_is_found_against_qrels(tmp_path):
    """The queries are those of the qrels: q3 has no line in the run."""
    (tmp_path / "qrels").write_text("q1 0 a 1\nq2 0 b 1\nq3 0 c 1\n")
    (tmp_path / "x.trec").write_text("\n".join([*RUN, RUN[0]]) + "\n")  # "a" counts once
    judgements = read_judgements(tmp_path / "qrels")
    messages = {
        one.code: one.message
        for one in lint_run(tmp_path / "x.trec", None, judgements, ["nDCG@10"])
    }
    assert "'q3'" in messages["R4"]
    assert "2 of 4 documents" in messages["R7"]


def test_a_file_that_is_no_text_is_an_error_of_its_own(tmp_path):
    """There is nothing to check."""
    (tmp_path / "x").write_bytes(b"\xff\xfe\n")
    with pytest.raises(DataError, match="UTF-8"):
        lint_run(tmp_path / "x")


def test_a_file_without_one_good_line_is_found_and_not_fatal(tmp_path):
    """Only the lines can be complained of."""
    assert [one.code for one in lint_lines(tmp_path, ["no run at all"])] == ["F1"]


def test_every_check_says_what_it_is_and_what_to_do():
    """Codes are those of the table, and nothing is left empty."""
    assert len(ALL) >= 30
    for code, check in ALL.items():
        assert code == check.code
        assert check.title
        assert check.remedy
        assert not check.remedy.endswith(".")
