"""What is true of every measure on any ranking."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.judge import judge
from bench.metrics import MEASURES, parse_measure
from qrels.data import ABSENT, Qrels, Run
from qrels.ranking import order_ties

GRADE = st.none() | st.integers(-2, 4)
RANKED = st.lists(GRADE, max_size=12)
MISSING = st.lists(st.integers(-2, 4), max_size=5)
CUTOFF = st.sampled_from(["", "@1", "@3", "@10"])
NAMES = [*MEASURES, "nDCG_exp", "AP(rel=2)", "RR(rel=3)", "Bpref(rel=2)", "Rprec(rel=2)"]

repeatable = settings(derandomize=True, deadline=None, max_examples=60)


@pytest.mark.parametrize("name", NAMES)
@repeatable
@given(RANKED, MISSING, CUTOFF)
def test_between_0_and_1(by_grades, name, ranked, missing, cutoff):
    """A measure is a number from 0 to 1."""
    (value,) = parse_measure(name + cutoff).values(by_grades(ranked, missing))
    assert 0 <= value <= 1 + 1e-12


@pytest.mark.parametrize("name", ["nDCG", "nDCG_exp", "AP", "R", "Rprec", "Bpref", "RR"])
@repeatable
@given(st.lists(st.integers(-2, 4), min_size=1, max_size=12).filter(lambda g: max(g) > 0))
def test_the_ideal_ranking_has_1(by_grades, name, grades):
    """All judged documents, best first, have the largest value."""
    (value,) = parse_measure(name).values(by_grades(sorted(grades, reverse=True)))
    assert value == pytest.approx(1)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("P", "Judged")])
@repeatable
@given(RANKED, MISSING, CUTOFF)
def test_an_unjudged_document_at_the_end_changes_nothing(by_grades, name, ranked, missing, cutoff):
    """Only Judged, and P without a cutoff, see an unjudged document at the end."""
    measure = parse_measure(name + cutoff)
    with_one_more = measure.values(by_grades([*ranked, None], missing))
    assert with_one_more.tolist() == measure.values(by_grades(ranked, missing)).tolist()


@repeatable
@given(RANKED, MISSING)
def test_an_unjudged_document_at_the_end_lowers_judged(by_grades, ranked, missing):
    """Judged falls by an unjudged document, unless it was 0."""
    measure = parse_measure("Judged")
    before = measure.values(by_grades(ranked, missing))
    after = measure.values(by_grades([*ranked, None], missing))
    assert after < before or after == before == 0


@pytest.mark.parametrize("name", [f"{name}{cut}" for name in NAMES for cut in ("", "@3")])
@repeatable
@given(st.lists(st.tuples(st.integers(0, 2), GRADE), min_size=1, max_size=8), st.randoms())
def test_the_input_order_of_ties_changes_nothing(name, documents, random):
    """Equal scores in any input order have one value once they are in the one order."""
    tie_order = np.argsort(np.argsort([f"d{i * 7 % 13}" for i in range(len(documents))]))
    known = [(i, grade) for i, (_, grade) in enumerate(documents) if grade is not None]
    docs, grades = zip(*known, strict=True) if known else ((), ())
    qrels = Qrels(np.array([0, len(known)]), np.array(docs, np.int32), np.array(grades, np.int16))

    def value(order):
        picked = np.array([*order, ABSENT], np.int32)[None]
        scores = np.array([*(documents[i][0] for i in order), -np.inf], np.float32)[None]
        run = order_ties(Run(picked, scores), tie_order.astype(np.int32))
        return parse_measure(name).values(judge(run, qrels)).tolist()

    shuffled = random.sample(range(len(documents)), len(documents))
    assert value(shuffled) == value(range(len(documents)))
