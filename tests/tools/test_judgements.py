"""The log of judgements: what it refuses, which grade counts, and what it says of itself."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from qrels.errors import DataError

SETS = Path(__file__).parents[2] / "qrels" / "sets"
LOGGED = sorted(path.parent.name for path in SETS.glob("*/judgements.tsv"))
HEAD = "query_id\tdoc_id\tpass\tgrade\tbasis\treason\n"


@pytest.fixture(scope="session")
def judgements(tool):
    return tool("judgements")


@pytest.fixture
def log_of(judgements, tmp_path):
    """log_of(lines) reads a log with these lines beneath its header."""

    def read(*lines):
        path = tmp_path / "judgements.tsv"
        path.write_text(HEAD + "".join(f"{line}\n" for line in lines))
        return judgements.read_log(path)

    return read


@pytest.mark.parametrize(
    ("a", "b", "kappa"),
    [
        pytest.param([0, 1, 2, 3], [0, 1, 2, 3], 1, id="equal"),
        pytest.param([0, 1, 2, 3], [3, 2, 1, 0], -1, id="reversed: seen 5, by chance 2.5"),
        pytest.param([0, 0, 3, 3], [0, 1, 3, 3], 1 - 0.25 / 4, id="one apart by 1"),
        pytest.param([0, 3, 0, 3], [0, 0, 3, 3], 0, id="as by chance"),
    ],
)
def test_kappa_by_hand(judgements, a, b, kappa):
    """One less the mean squared difference over that of all pairs of a grade of each rater."""
    assert judgements.weighted_kappa(np.array(a), np.array(b)) == pytest.approx(kappa)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_agrees_with_scikit_learn(judgements, seed):
    """Quadratic weights over the four grades, as cohen_kappa_score has them."""
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(seed)
    a = rng.integers(4, size=200)
    b = np.clip(a + rng.integers(-1, 2, size=200), 0, 3)
    theirs = cohen_kappa_score(a, b, labels=range(4), weights="quadratic")
    assert judgements.weighted_kappa(a, b) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("q\td\t5\t0\tread\tr", "pass '5', grade '0'", id="pass"),
        pytest.param("q\td\t1\t4\tread\tr", "pass '1', grade '4'", id="grade"),
        pytest.param("q\td\t1\t-1\tread\tr", "pass '1', grade '-1'", id="negative grade"),
        pytest.param("q\td\t1\t0\tguess\tr", "basis 'guess', reason 'r'", id="basis"),
        pytest.param("q\td\t1\t0\tread\t", "basis 'read', reason ''", id="no reason"),
        pytest.param("q\tfirst\t1\t3\tread\tr", "('q', 'first') is judged twice", id="twice"),
    ],
)
def test_a_faulty_line_is_named(log_of, line, message):
    """A wrong pass, grade, basis or reason, or a pair judged twice, is an error with its line."""
    with pytest.raises(DataError) as raised:
        log_of("q\tfirst\t1\t0\trule\tr", line)
    assert "judgements.tsv:3: " in str(raised.value)
    assert message in str(raised.value)


def test_a_pair_may_be_judged_once_in_each_pass(log_of):
    """Passes do not get into each other's way, and the bases are those of the first."""
    log = log_of(*(f"q\td\t{number}\t{4 - number}\tread\tr" for number in (1, 2, 3, 4)))
    assert {number: grades["q", "d"] for number, grades in log.passes.items()} == {
        1: 3, 2: 2, 3: 1, 4: 0,
    }  # fmt: skip
    assert log.bases == {"read": 1}


def test_the_third_pass_counts_and_else_the_first(judgements):
    """Passes 2 and 4 change no grade; qrels are sorted, and each query is in its own split."""
    passes = {
        1: {("q2", "b"): 1, ("q1", "a"): 0, ("q2", "a"): 2},
        2: {("q2", "b"): 2, ("q1", "a"): 3},
        3: {("q1", "a"): 2},
        4: {("q2", "a"): 0},
    }
    found = judgements.qrels_of(judgements.Log(passes, Counter()), {"q1": "dev", "q2": "test"})
    assert found == {
        "dev": "query-id\tcorpus-id\tscore\nq1\ta\t2\n",
        "test": "query-id\tcorpus-id\tscore\nq2\ta\t2\nq2\tb\t1\n",
    }


@pytest.mark.parametrize(
    ("second", "third", "expected"),
    [
        pytest.param(1, {}, "No pair differed by 2 or more", id="one apart"),
        pytest.param(2, {("q", "d"): 1}, "1 pairs that differed by 2", id="two apart, settled"),
    ],
)
def test_what_became_of_wide_differences(judgements, second, third, expected):
    """A pair counts as settled only where the passes differ by 2 or more."""
    passes = {1: {("q", "d"): 0}, 2: {("q", "d"): second}, 3: third}
    assert judgements.settled(judgements.Log(passes, Counter())).startswith(expected)


def test_a_wide_difference_must_be_settled(judgements):
    """Two passes that differ by 2 without a third are an error that names the pair."""
    log = judgements.Log({1: {("q", "d"): 0}, 2: {("q", "d"): 2}}, Counter())
    with pytest.raises(DataError, match=r"'q', 'd'.*there is no 3"):
        judgements.settled(log)


def test_agreement_by_hand(judgements):
    """Shares are of the pairs in both passes; the interval is the same each time."""
    first = {(q, d): grade for q in "pqr" for d, grade in zip("abcd", (3, 2, 0, 0), strict=True)}
    second = {pair: grade for pair, grade in first.items() if pair[1] != "d"}
    second |= {("p", "b"): 1, ("q", "c"): 2}
    log = judgements.Log({1: first, 2: second}, Counter())
    found = judgements.agreement(log, 2)
    assert found["pairs"] == 9
    assert found["share"] == 9 / 12
    assert found["equal"] == pytest.approx(7 / 9)
    assert found["within_one"] == pytest.approx(8 / 9)
    assert found["relevant_kept"] == pytest.approx(5 / 6)
    assert found["low"] <= found["kappa"] <= found["high"] < 1.0001
    assert found == judgements.agreement(log, 2)


def test_text_goes_between_its_markers(judgements):
    """What stands around the two lines stays, and doing it again changes nothing."""
    readme = "head <!-- a -->\nold\n<!-- b -->\ntail"
    made = judgements.with_figures(readme, "new", "<!-- a -->", "<!-- b -->")
    assert made == "head <!-- a -->\nnew\n<!-- b -->\ntail"
    assert judgements.with_figures(made, "new", "<!-- a -->", "<!-- b -->") == made


@pytest.mark.parametrize("readme", ["", "<!-- a -->", "<!-- b -->", "<!-- b --><!-- a -->"])
def test_markers_must_be_there(judgements, readme):
    """A README without both lines, in order, is an error that says which."""
    with pytest.raises(DataError, match="no lines <!-- a --> and <!-- b -->"):
        judgements.with_figures(readme, "new", "<!-- a -->", "<!-- b -->")


@pytest.mark.parametrize("path", ["qrels/test.tsv", "README.md"])
def test_check_finds_what_is_stale(judgements, suite, capsys, path):
    """Files made from the log pass; one that was changed by hand fails, and stays as it is."""
    assert judgements.main([str(suite), "--check"]) == 0
    changed = suite / path
    changed.write_text(changed.read_text().replace("3", "4"))
    before = changed.read_text()
    assert judgements.main([str(suite), "--check"]) == 1
    assert f"{changed} is not what the log gives" in capsys.readouterr().err
    assert changed.read_text() == before


def test_there_are_logs():
    """The next test has suites to look at."""
    assert {"models", "datasets"} <= set(LOGGED)


@pytest.mark.parametrize("name", LOGGED)
def test_committed_qrels_are_what_the_log_gives(judgements, name):
    """Nobody changed qrels or figures by hand."""
    assert judgements.main([str(SETS / name), "--check"]) == 0
