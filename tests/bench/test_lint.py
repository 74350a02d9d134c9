"""Every check of a suite finds what it is there for, and is silent on a good suite."""

from dataclasses import replace

import numpy as np
import pytest

from bench.lint import format_findings, lint, longest_shared
from qrels.data import Corpus, Qrels, Queries, Suite

TEXTS = ["red apples grow on trees", "blue whales swim in the sea", "green tea comes from leaves"]


def suite_of(texts=TEXTS, queries=("apples", "whales"), docs=(0, 1), grades=(1, 1), extra=()):
    """A suite whose query i has the one judgement docs[i], grades[i]."""
    return Suite(
        "s", "1", "test", Corpus([f"d{i}" for i in range(len(texts))], {"text": list(texts)}),
        Queries([f"q{i}" for i in range(len(queries))], list(queries),
                [{"kind": "k"} for _ in queries]),
        Qrels(np.arange(len(queries) + 1, dtype=np.int64), np.array(docs, np.int32),
              np.array(grades, np.int16), extra),
        digest="", systems=("bm25",),
    )  # fmt: skip


def codes(suite, level=("error", "warning")):
    return [found.code for found in lint(suite) if found.level in level]


def test_a_good_suite_has_no_finding():
    """Only notes, which are figures."""
    assert codes(suite_of()) == []
    assert format_findings(suite_of(), lint(suite_of())).endswith("errors 0, warnings 0")


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
    assert longest_shared(a.split(), b.split()) == longest
