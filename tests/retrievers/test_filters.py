"""Filters as text, and which documents meet them."""

import datetime

import numpy as np
import pytest

from qrels.data import Filter
from qrels.errors import UsageError
from retrievers.filters import matching, parse_filter

PARSED = {
    "equals": ("task=pets", Filter("task", "=", "pets")),
    "two-equals-signs": ("task==pets", Filter("task", "=", "pets")),
    "differs": ("license!=mit", Filter("license", "!=", "mit")),
    "at-least": ("downloads>=1000", Filter("downloads", ">=", "1000")),
    "at-most": ("downloads<=1000", Filter("downloads", "<=", "1000")),
    "above": ("downloads>1000", Filter("downloads", ">", "1000")),
    "below": ("downloads<1000", Filter("downloads", "<", "1000")),
    "contains": ("language:it", Filter("language", "contains", "it")),
    "in": ("license in mit,apache-2.0", Filter("license", "in", ("mit", "apache-2.0"))),
    "in-with-spaces": ("license in mit, a b ,", Filter("license", "in", ("mit", "a b"))),
    "spaces": ("  task =  fill mask ", Filter("task", "=", "fill mask")),
    "operand-with-operator": ("task=a>b:c", Filter("task", "=", "a>b:c")),
    "operand-with-in": ("task:done in time", Filter("task", "contains", "done in time")),
    "date": ("created_at>=2024-01-01", Filter("created_at", ">=", "2024-01-01")),
}

MET = {  # documents: cats, dogs, twin-a, twin-b, ü/ß, empty
    "str-equals": ("task=pets", [1, 1, 0, 0, 0, 0]),
    "str-equals-minds-case": ("task=Pets", [0, 0, 0, 0, 0, 0]),
    "str-differs-and-missing": ("task!=pets", [0, 0, 1, 1, 1, 1]),
    "str-in": ("task in space,none", [0, 0, 1, 1, 0, 1]),
    "str-contains-ignores-case": ("task:PET", [1, 1, 0, 0, 0, 0]),
    "missing-str-contains-nothing": ("task:n", [0, 0, 0, 0, 0, 1]),
    "int-equals": ("downloads=500", [0, 0, 1, 1, 0, 0]),
    "int-differs-and-missing": ("downloads!=500", [1, 1, 0, 0, 1, 1]),
    "int-at-least": ("downloads>=500", [1, 0, 1, 1, 0, 0]),
    "int-above": ("downloads>500", [1, 0, 0, 0, 0, 0]),
    "int-below-and-missing": ("downloads<10", [0, 0, 0, 0, 1, 0]),
    "int-at-most": ("downloads<=10", [0, 1, 0, 0, 1, 0]),
    "int-in": ("downloads in 7,10", [0, 1, 0, 0, 1, 0]),
    "int-in-other-notation": ("downloads=1e3", [1, 0, 0, 0, 0, 0]),
    "float-below": ("rating<3.25", [0, 0, 0, 1, 0, 1]),
    "float-equals": ("rating=3.25", [0, 1, 0, 0, 0, 0]),
    "date-day": ("created_at=2021-06-15", [0, 1, 0, 0, 0, 0]),
    "date-month": ("created_at=2022-03", [0, 0, 1, 1, 0, 0]),
    "date-year": ("created_at=2022", [0, 0, 1, 1, 0, 0]),
    "date-differs-and-missing": ("created_at!=2022", [1, 1, 0, 0, 1, 1]),
    "date-at-most-its-year": ("created_at<=2021", [1, 1, 0, 0, 0, 0]),
    "date-after-its-year": ("created_at>2021", [0, 0, 1, 1, 0, 1]),
    "date-in": ("created_at in 2020,2024-12-31", [1, 0, 0, 0, 0, 1]),
    "time-at-midnight": ("created_at<=2021-06-15T00:00:00", [1, 1, 0, 0, 0, 0]),
    "time-in-its-zone": ("created_at=2021-06-15T02:00:00+02:00", [0, 1, 0, 0, 0, 0]),
    "list-contains": ("language:EN", [1, 1, 1, 0, 0, 0]),
    "list-contains-whole-items": ("language:e", [0, 0, 0, 0, 0, 0]),
    "list-holds": ("language=fr", [0, 1, 0, 0, 0, 0]),
    "list-does-not-hold": ("language!=en", [0, 0, 0, 1, 1, 1]),
    "list-holds-any": ("language in fr,de", [0, 1, 0, 0, 1, 0]),
}

TYPED = {
    "number": (Filter("downloads", ">=", 500), [1, 0, 1, 1, 0, 0]),
    "numpy-number": (Filter("downloads", "=", np.float64(7)), [0, 0, 0, 0, 1, 0]),
    "date": (Filter("created_at", "=", datetime.date(2020, 1, 1)), [1, 0, 0, 0, 0, 0]),
    "datetime64": (Filter("created_at", ">", np.datetime64("2022", "Y")), [0, 0, 0, 0, 0, 1]),
    "tuple": (Filter("downloads", "in", (7, 10)), [0, 1, 0, 0, 1, 0]),
    "empty-text-in-missing": (Filter("task", "contains", ""), [1, 1, 1, 1, 0, 1]),
}

WRONG = {
    "unknown-column": (Filter("dowloads", "=", "1"), "did you mean 'downloads'?"),
    "number-on-str": (Filter("task", "=", 3), "'task', a column of kind str: .* 3; expected text"),
    "order-on-str": (Filter("task", ">", "a"), "no operator '>'; allowed: =, !=, contains, in"),
    "text-on-int": (Filter("downloads", ">=", "many"), "kind int: .*'many'; expected a number"),
    "contains-on-int": (Filter("downloads", "contains", "1"), "no operator 'contains'"),
    "not-a-number": (Filter("downloads", "<", "nan"), "expected a number"),
    "truth-value": (Filter("downloads", "=", True), "expected a number"),
    "none": (Filter("downloads", "=", None), "expected a number"),
    "bad-month": (Filter("created_at", ">", "2024-13-01"), "kind date: .*expected a date such as"),
    "bad-day": (Filter("created_at", ">", "2024-02-30"), "expected a date"),
    "word-as-date": (Filter("created_at", ">", "today"), "expected a date"),
    "number-as-date": (Filter("created_at", ">", 2024), "expected a date"),
    "not-a-time": (Filter("created_at", "=", np.datetime64("NaT")), "expected a date"),
    "order-on-list": (Filter("language", "<", "en"), "allowed: =, !=, contains, in"),
    "one-bad-of-many": (Filter("downloads", "in", ("1", "x")), "'1', 'x'; expected a number"),
    "text-for-in": (Filter("task", "in", "pets"), "'in' takes a list of values, not 'pets'"),
    "nothing-for-in": (Filter("task", "in", ()), "takes a list"),
}


@pytest.mark.parametrize(("text", "expected"), PARSED.values(), ids=PARSED)
def test_text_becomes_a_filter(text, expected):
    """Column, operator and operand come out of the text, the operand still as text."""
    assert parse_filter(text) == expected


@pytest.mark.parametrize("text", ["", "task", "task=", "=pets", "task pets", "task in", ">5"])
def test_text_that_is_no_filter_is_refused(text):
    """Text without column, operator or operand names itself and what is expected."""
    with pytest.raises(UsageError, match=r"cannot read the filter .*expected column=value"):
        parse_filter(text)


@pytest.mark.parametrize(("text", "expected"), MET.values(), ids=MET)
def test_documents_meet_a_condition_by_the_kind_of_its_column(toy_corpus, text, expected):
    """Each operator means what its kind says; a missing value meets none but !=."""
    kept = matching(toy_corpus.metadata, [parse_filter(text)], len(toy_corpus))
    assert kept.dtype == np.bool_
    assert kept.astype(int).tolist() == expected


@pytest.mark.parametrize(("condition", "expected"), TYPED.values(), ids=TYPED)
def test_operands_may_come_typed(toy_corpus, condition, expected):
    """From Python an operand is a number, a date or a tuple as it is."""
    kept = matching(toy_corpus.metadata, [condition], len(toy_corpus))
    assert kept.astype(int).tolist() == expected


def test_all_conditions_must_hold(toy_corpus):
    """Several filters keep only the documents that meet each of them."""
    where = [parse_filter("downloads>=10"), parse_filter("language:en"), parse_filter("rating<5")]
    kept = matching(toy_corpus.metadata, where, len(toy_corpus))
    assert kept.astype(int).tolist() == [1, 1, 0, 0, 0, 0]


def test_no_condition_is_no_mask(toy_corpus):
    """Without filters there is nothing to apply."""
    assert matching(toy_corpus.metadata, (), len(toy_corpus)) is None


@pytest.mark.parametrize(("condition", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_condition_says_what_is_allowed(toy_corpus, condition, message):
    """An unknown column, operator or operand is a UsageError that helps."""
    with pytest.raises(UsageError, match=message):
        matching(toy_corpus.metadata, [condition], len(toy_corpus))
