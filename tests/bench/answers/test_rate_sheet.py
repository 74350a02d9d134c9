"""A blind sheet out, ratings in."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from bench.answers.files import AnswerRow
from bench.answers.items import MEASURE, blind
from bench.answers.ratings import collected, item_means, page, rated_record
from bench.answers.sheet import (
    COLUMNS,
    NO_ANSWER,
    SheetRow,
    empty_sheet,
    key_text,
    read_key,
    read_sheet,
    to_csv,
)
from qrels.errors import DataError
from reports.record import load, save

SCALE = (1, 5)
SYSTEMS = ("alpha-system", "beta-system", "gamma-system")


def rows_of(n=6, suite="models"):
    """n questions; alpha and beta say the same to the even ones, gamma nothing to question 0."""
    said = {
        "alpha-system": lambda q: f"common {q}" if q % 2 == 0 else f"by one {q}",
        "beta-system": lambda q: f"common  {q}\n" if q % 2 == 0 else f"by another {q}",
        "gamma-system": lambda q: "" if q == 0 else f"third {q}",
    }
    return [
        AnswerRow(name, f"q{q}", f"Question {q}?", said[name](q), suite=suite, gold=("one", "two"))
        for name in SYSTEMS
        for q in range(n)
    ]


@pytest.fixture
def made():
    return blind(rows_of(), SCALE, seed=3)


@pytest.fixture
def key(made):
    return made.key


def filled(key, value):
    """A sheet's rows with value(item), None for no rating."""
    rows = [SheetRow(item.item_id, "?", (), "a", value(item)) for item in key.items]
    return [row for row in rows if row.rating is not None]


def test_a_sheet_shows_no_system(made):
    """Neither names nor anything that is the same for all answers of one system."""
    text = to_csv(empty_sheet(made))
    assert not any(name in text for name in SYSTEMS)
    orders = {tuple(SYSTEMS.index(item.systems[0]) for item in made.key.items if item.query_id == q)
              for q in ("q1", "q3", "q5")}  # fmt: skip
    assert len(orders) > 1


def test_equal_answers_are_rated_once(made):
    """White space makes no other answer; the key knows both systems."""
    by_query = {}
    for item in made.key.items:
        by_query.setdefault(item.query_id, []).append(item.systems)
    assert sorted(by_query["q2"]) == [SYSTEMS[:2], SYSTEMS[2:]]
    assert sorted(by_query["q3"]) == [(name,) for name in SYSTEMS]


def test_the_answers_to_a_question_stay_together_and_questions_change_places(made):
    """A rater reads each question once, in an order that is not the data's."""
    order = [item.query_id for item in made.key.items]
    runs = [name for at, name in enumerate(order) if at == 0 or order[at - 1] != name]
    assert sorted(runs) == [f"q{q}" for q in range(6)]
    assert runs != sorted(runs)


def test_a_seed_gives_one_sheet():
    """The same again, and another with another seed; the ids of another are not taken for its."""
    first, again, other = (blind(rows_of(), SCALE, seed) for seed in (3, 3, 4))
    assert first == again
    assert [row.answer for row in first.rows] != [row.answer for row in other.rows]
    assert not {i.item_id for i in first.key.items} & {i.item_id for i in other.key.items}


def test_some_questions_are_drawn_of_each_suite():
    """All systems' answers to so many questions; asked for more, all there are."""
    rows = [*rows_of(), *rows_of(2, suite="other")]
    found = blind(rows, SCALE, seed=3, n=3).key
    assert [info.queries for info in found.suites] == [3, 2]
    for info in found.suites:
        items = [item for item in found.items if item.suite == info.name]
        assert {item.query_id for item in items} == set(info.query_ids)
        assert sum(len(item.systems) for item in items) == 3 * info.queries


MIXED = {
    "missing": (lambda rows: rows[:-1], "'alpha-system' answers it, 'gamma-system' does not"),
    "twice": (lambda rows: [*rows, rows[0]], "'alpha-system' answers it twice"),
    "question": (
        lambda rows: [replace(rows[0], question="!"), *rows[1:]],
        "differ in the question",
    ),
    "gold": (lambda rows: [replace(rows[0], gold=()), *rows[1:]], "differ in the gold"),
}


@pytest.mark.parametrize(("change", "message"), MIXED.values(), ids=MIXED)
def test_answers_that_do_not_belong_together_are_refused(change, message):
    """The query is named, and the systems."""
    with pytest.raises(DataError, match=rf"query 'q\d' of models test: .*{message}"):
        blind(change(rows_of()), SCALE, seed=3)


def test_what_a_record_knows_of_a_suite_is_kept(record):
    """Digest and kinds, cut to the questions; a query that it lacks is an error."""
    (info,) = record.suites
    ids = info.query_ids[2:4]
    rows = [AnswerRow("s", name, "?", "a", suite=info.name) for name in ids]
    (found,) = blind(rows, SCALE, 3, suites=record.suites).key.suites
    assert (found.digest, found.query_ids, found.kinds) == (info.digest, ids, info.kinds[2:4])
    with pytest.raises(DataError, match="query 'gone' is answered, but models test has no such"):
        blind([replace(rows[0], query_id="gone")], SCALE, 3, suites=record.suites)


HOSTILE = ["=1+1", "+1", "-1", "@x", "\t=1", "'=1", "a\n=1", 'a"b', "a,b;c", "=HYPERLINK(1)\r\nx"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_is_a_formula(text):
    """Whatever a model or a suite says, no cell begins as a formula does."""
    row = AnswerRow(text, text, text, text, gold=(text, text))
    rows = [replace(one, comment=text) for one in empty_sheet(blind([row], SCALE, 3))]
    sheet = to_csv(rows)
    assert sheet.startswith("\ufeff")
    header, cells = csv.reader(io.StringIO(sheet.removeprefix("\ufeff"), newline=""))
    assert tuple(header) == COLUMNS
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in cells)


def test_terminal_codes_stay_out():
    """What would steer a terminal or turn the reading direction is left out."""
    row = AnswerRow("s", "q", "a\x1b[2Jb", "c\u202ed\x00\x07")
    sheet = to_csv(empty_sheet(blind([row], SCALE, 3)))
    assert '"ab","","cd"' in sheet


@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_sheet_is_read_as_spreadsheets_save_it(delimiter, newline, made, tmp_path):
    """Other separators and line ends, with or without quotes; ratings and comments come back."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=newline)
    rows = list(csv.reader(io.StringIO(to_csv(empty_sheet(made)).removeprefix("\ufeff"))))
    rows[1][4:] = ["4", '\'=why, so; "well"']
    writer.writerows(rows)
    (tmp_path / "s.csv").write_text(out.getvalue(), encoding="utf-8", newline="")
    found = read_sheet(tmp_path / "s.csv", made.key)
    assert [row.rating for row in found] == [4, *[None] * (len(found) - 1)]
    assert found[0].comment == '=why, so; "well"'
    expected = [replace(row, answer=" ".join(row.answer.split())) for row in empty_sheet(made)]
    assert [replace(row, rating=None, comment="") for row in found] == expected


def test_an_answer_that_says_nothing_is_shown_as_such(made):
    """Its cell is not empty, which would look like a fault, and is read as silence."""
    (row,) = [row for row in empty_sheet(made) if not row.answer]
    assert f'"{NO_ANSWER}"' in to_csv([row])


HEAD = ",".join(COLUMNS)
WRONG = {  # lines of the sheet, what is said
    "columns": ("item,question,rating", r":1: columns .*; expected item, question"),
    "short": (f"{HEAD}\nID_1,q,g", ":2: 3 columns; expected 6"),
    "item": (f"{HEAD}\nnone_1,q,g,a,3,", ":2: item 'none_1' is not in the key"),
    "twice": (f"{HEAD}\nID_1,q,g,a,3,\nID_1,q,g,a,3,", ":3: item 'ID_1' is there twice"),
    "above": (f"{HEAD}\nID_1,q,g,a,6,", ":2: rating '6'; expected a whole number from 1 to 5"),
    "below": (f"{HEAD}\nID_1,q,g,a,-1,", ":2: rating '-1'; expected a whole number from 1 to 5"),
    "half": (f"{HEAD}\nID_1,q,g,a,3.5,", ":2: rating '3.5'; expected a whole number"),
    "word": (f"{HEAD}\nID_1,q,g,a,good,", ":2: rating 'good'; expected a whole number"),
    "digits": (f"{HEAD}\nID_1,q,g,a,³,", ":2: rating '³'; expected a whole number"),
    "line-in-a-cell": (f'{HEAD}\nID_1,"q\n\nq",g,a,0,', ":4: rating '0'; expected"),
    "huge": (f"{HEAD}\nID_1,{'x' * 200_000},g,a,1,", ":2: cannot read this CSV: field larger"),
    "empty": (" ", ": the file is empty"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_a_sheet_that_does_not_fit_is_one_line(text, message, key, tmp_path):
    """It names file, line and value."""
    prefix = key.items[0].item_id.removesuffix("_1")
    path = tmp_path / "s.csv"
    path.write_text(text.replace("ID", prefix), encoding="utf-8")
    with pytest.raises(DataError, match=rf"s\.csv{message.replace('ID', prefix)}"):
        read_sheet(path, key)


def test_a_key_is_read_as_it_was_written(key, tmp_path):
    """All of it."""
    (tmp_path / "k.json").write_text(key_text(key))
    assert read_key(tmp_path / "k.json") == key


@pytest.mark.parametrize(
    ("before", "after"),
    [('"schema": 1', '"schema": 2'), ('"low": 1', '"low": "1"'), ('"items"', '"itms"'), ("{", ""),
     ('"query_id": "q3"', '"query_id": "q33"')],
)  # fmt: skip
def test_another_file_is_no_key(before, after, key, tmp_path):
    """Another schema, a wrong value, no JSON, a question that it lacks."""
    text = key_text(key)
    assert before in text
    (tmp_path / "k.json").write_text(text.replace(before, after, 1))
    with pytest.raises(DataError, match=r"k\.json: "):
        read_key(tmp_path / "k.json")


def by_system(item):
    """alpha 5, beta 2, gamma 1; what two share has the first's."""
    return {"alpha-system": 5, "beta-system": 2, "gamma-system": 1}[item.systems[0]]


def test_ratings_become_values_of_each_system(key):
    """By query, an answer that two gave counting for both."""
    ratings = collected(key, {"ann": filled(key, by_system)})
    record = rated_record(key, item_means(ratings.values), seed=3)
    found = {cell.system: cell.values[MEASURE] for cell in record.cells}
    assert found["alpha-system"] == (5,) * 6
    assert found["beta-system"] == (5, 2, 5, 2, 5, 2)
    assert record.cells[1].means[MEASURE]["mean"] == 3.5
    assert record.suites[0].query_ids == tuple(f"q{q}" for q in range(6))


def test_raters_are_averaged_item_by_item(key):
    """Over those who rated it."""
    ann = filled(key, lambda item: 5 if item.query_id == "q1" else 2)
    bob = filled(key, lambda item: 2 if item.query_id == "q1" else None)
    means = item_means(collected(key, {"ann": ann, "bob": bob}).values)
    assert {value: item.query_id for item, value in zip(key.items, means, strict=True)
            if item.query_id == "q1"} == {3.5: "q1"}  # fmt: skip
    assert set(means.tolist()) == {3.5, 2.0}


def test_a_question_counts_where_every_system_has_a_rating(key):
    """Others are left out, and the page says how many."""
    skipped = next(i for i in key.items if i.query_id == "q3" and i.systems == ("beta-system",))
    ratings = collected(key, {"ann": filled(key, lambda i: None if i == skipped else by_system(i))})
    record = rated_record(key, item_means(ratings.values), seed=3)
    assert record.suites[0].query_ids == ("q0", "q1", "q2", "q4", "q5")
    assert {len(cell.values[MEASURE]) for cell in record.cells} == {5}
    assert "5 questions; 1 left out, where some system has no rating" in page(key, ratings, record)


def test_a_record_of_ratings_can_be_saved_and_read(key, tmp_path):
    """As any other."""
    ratings = collected(key, {"ann": filled(key, by_system)})
    record = rated_record(key, item_means(ratings.values), seed=3)
    save(record, tmp_path)
    assert load(tmp_path) == record


@pytest.mark.parametrize(
    ("value", "message"),
    [(lambda _: None, "the sheet of ann has no rating"),
     (lambda item: 3 if item.query_id == "q1" and len(item.systems) == 1 and
      item.systems[0] == "beta-system" else None, "no question has a rating for each system")],
    ids=["none", "never-all"],
)  # fmt: skip
def test_too_few_ratings_are_an_error(value, message, key):
    """A sheet without any, or none that makes a question whole."""
    with pytest.raises(DataError, match=message):
        rated_record(key, item_means(collected(key, {"ann": filled(key, value)}).values), 3)


def test_the_page_has_means_and_agreement(key):
    """Systems best first with intervals; each pair of raters; nothing of agreement for one."""
    ann, bob = filled(key, by_system), filled(key, lambda item: max(2, by_system(item)))
    ratings = collected(key, {"ann": ann, "bob": bob})
    text = page(key, ratings, rated_record(key, item_means(ratings.values), seed=3))
    assert text.startswith("15 answers rated from 1 to 5 by 2 raters\n\nmodels (test): 6 questions")
    assert text.index("alpha-system") < text.index("beta-system") < text.index("gamma-system")
    assert "ann    bob       15  0.600" in text
    assert "Krippendorff's alpha (ordinal): 0." in text
    alone = collected(key, {"ann": ann})
    assert "alpha (" not in page(key, alone, rated_record(key, item_means(alone.values), seed=3))


def test_an_item_that_nobody_rated_has_no_mean():
    """It is NaN, not 0."""
    assert np.isnan(item_means(np.array([[np.nan, 2.0]]))).tolist() == [True, False]
