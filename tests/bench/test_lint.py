"""Every check of a suite finds what it is there for, and is silent on a good suite."""

from dataclasses import replace

import numpy as np
import pytest

from bench.lint import lint, summary
from bench.lint.suite import PUBLISHED, SUITE, Linted, longest_shared, spaced
from qrels.data import Corpus, Qrels, Queries, Run, Suite

TEXTS = ["red apples grow on trees", "blue whales swim in the sea", "green tea comes from leaves"]


def suite_of(texts=TEXTS, queries=("apples", "whales"), docs=(0, 1), grades=(1, 1), extra=()):
    """A suite whose query i has the one judgement docs[i], grades[i]."""
    return Suite(
        "s", "1", "test", Corpus([f"d{i}" for i in range(len(texts))], {"text": list(texts)}),
        Queries([f"q{i}" for i in range(len(queries))], list(queries),
                [{"kind": "k"} for _ in queries]),
        Qrels(np.arange(len(queries) + 1, dtype=np.int64), np.array(docs, np.int32),
              np.array(grades, np.int16), extra),
        digest="", measures=["nDCG@10"], systems=("bm25",),
    )  # fmt: skip


def codes(suite, level=("error", "warning")):
    return [found.code for found in lint(suite) if found.level in level]


def test_a_good_suite_has_no_finding():
    """Only notes, which are figures."""
    assert codes(suite_of()) == []
    assert summary("s", lint(suite_of())).endswith("errors 0, warnings 0")


@pytest.mark.parametrize(
    ("suite", "code", "says"),
    [
        (suite_of(grades=(1, 0)), "S1", "'q1' has no relevant"),
        (suite_of(docs=(0, 3), extra=("gone",)), "S2", "'gone'"),
        (suite_of(queries=("apples", "apples")), "S3", "'q0' and 'q1'"),
        (suite_of([*TEXTS, TEXTS[0]]), "S4", "'d0' and 'd3'"),
        (suite_of(queries=("apples", " ")), "S5", "1 of 2 queries"),
        (suite_of([*TEXTS, ""]), "S5", "1 of 4 documents"),
        (suite_of(queries=(f"which {TEXTS[0]}, and so on", "whales")), "S6", "is 5: q0 in 'd0'"),
        (suite_of(docs=(1, 1)), "S8", "bm25: 50.0%"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) == 2 else "",
)
def test_each_fault_is_found(suite, code, says):
    """The finding names what is wrong; faults that only hide documents are warnings."""
    found = [finding for finding in lint(suite) if finding.code == code]
    assert found
    assert any(says in finding.message for finding in found)


def test_copied_wording_becomes_a_warning_at_six_words():
    """Five shared words may be a name; six are copied."""
    copied = suite_of([TEXTS[0] + " everywhere", *TEXTS[1:]], (TEXTS[0] + " everywhere", "whales"))
    assert "S6" in codes(copied)
    assert "S6" not in codes(suite_of(queries=(TEXTS[0], "whales")))


def test_a_document_that_every_system_returns_is_found():
    """One that matches every query of every system is an error."""
    suite = suite_of(["apples whales tea", *TEXTS], ("apples", "whales"), (1, 2))
    assert "S7" in codes(suite, ("error",))


def test_an_unanswerable_query_needs_no_relevant_document():
    """A query that says so itself is no fault."""
    suite = suite_of(grades=(1, 0))
    metadata = [{"kind": "k"}, {"kind": "k", "unanswerable": True}]
    assert "S1" not in codes(replace(suite, queries=replace(suite.queries, metadata=metadata)))


@pytest.mark.parametrize(
    ("a", "b", "longest"),
    [("a b c", "x a b y", 2), ("a b", "b a", 1), ("", "a", 0), ("a b a b c", "a b c", 3)],
)
def test_the_longest_shared_run_is_counted_in_words(a, b, longest):
    """Hand-worked runs."""
    assert longest_shared(a.split(), spaced(b.split())) == longest


@pytest.mark.parametrize(
    ("name", "found"),
    [("scifact-small", True), ("my_scifact", True), ("fact", False), ("climate-fever", True)],
)
def test_a_cut_down_public_corpus_is_told_by_its_name(name, found):
    """Three documents are not the whole of any; the longest name known is the one meant."""
    messages = [one.message for one in lint(replace(suite_of(), name=name)) if one.code == "S10"]
    assert bool(messages) is found
    assert "5,416,593" in messages[0] if name == "climate-fever" else True


def test_a_whole_public_corpus_is_not_called_cut_down(monkeypatch):
    """The published number of documents is none too few."""
    monkeypatch.setitem(PUBLISHED, "tiny", 3)
    assert "S10" not in codes(replace(suite_of(), name="tiny"))
    monkeypatch.setitem(PUBLISHED, "tiny", 4)
    assert "S10" in codes(replace(suite_of(), name="tiny"))


@pytest.mark.parametrize(("measure", "level"), [("R@2", "warning"), ("P@2", None), ("R@1", "note")])
def test_recall_that_chance_reaches_is_found(measure, level):
    """Of three documents two are most and one is a third; precision is no recall."""
    found = [f for f in lint(replace(suite_of(), measures=[measure])) if f.code == "S11"]
    assert [one.level for one in found] == ([level] if level else [])


def test_a_query_in_a_large_corpus_is_not_reached_by_chance():
    """One of twenty documents is what a random order finds, too little to speak of."""
    texts = [f"{word} stands alone" for word in "abcdefghijklmnopqrst"]
    found = lint(replace(suite_of(texts), measures=["R@1"]))
    assert "S11" not in [one.code for one in found]


def test_less_competition_is_measured_on_the_runs():
    """Without half of what stands above a relevant document it moves up; a perfect run stays."""
    suite = replace(suite_of(queries=("q", "q"), docs=(0, 0)), measures=["RR@3"])
    (check,) = [check for check in SUITE if check.code == "S12"]
    runs = {
        "perfect": Run(np.array([[0, 1, 2]] * 2, np.int32), np.zeros((2, 3), np.float32)),
        "worst": Run(np.array([[1, 2, 0]] * 2, np.int32), np.zeros((2, 3), np.float32)),
    }
    ((level, message),) = check.find(Linted(suite, runs))
    assert level == "note"
    assert "perfect 1.000 instead of 1.000" in message
    half = float(message.partition("worst ")[2].partition(" ")[0])
    assert 1 / 3 < half < 1
    assert not list(check.find(Linted(suite, {})))
