import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reports import files
from reports import record as r


def test_saved_and_loaded_is_the_same_record(record, tmp_path):
    """Loading gives back an equal record, from the folder or from the file."""
    r.save(record, tmp_path)
    assert r.load(tmp_path) == record
    assert r.load(tmp_path / "record.json") == record
    assert sorted(path.name for path in tmp_path.iterdir()) == ["per_query.csv", "record.json"]


def test_strange_ids_survive(make_record, tmp_path):
    """Ids and texts come back as they were: quotes, newlines, other scripts, lone surrogates."""
    made = make_record()
    ids = ('a"b\\', "new\nline", "日本語", "\ud800", *made.suites[0].query_ids[4:])
    made = replace(made, suites=(replace(made.suites[0], query_ids=ids),))
    r.save(made, tmp_path)
    assert r.load(tmp_path).suites[0].query_ids == ids


def test_floats_keep_all_their_digits(record, tmp_path):
    """A value reads back bit for bit from the JSON and from the CSV."""
    odd = (0.1 + 0.2, 1 / 3, 5e-324, 1.0, *record.cells[0].values["nDCG@10"][4:])
    cell = replace(record.cells[0], values={**record.cells[0].values, "nDCG@10": odd})
    r.save(replace(record, cells=(cell,)), tmp_path)
    assert r.load(tmp_path).cells[0].values["nDCG@10"] == odd
    rows = list(csv.DictReader(io.StringIO((tmp_path / "per_query.csv").read_text())))
    assert tuple(float(row["nDCG@10"]) for row in rows) == odd


def test_numpy_values_and_odd_parameters_are_saved(record, tmp_path):
    """NumPy numbers are saved as numbers; a parameter that JSON lacks is saved as its text."""
    params = {"k1": np.float64(0.9), "n": np.int32(3), "big": math.inf, "at": Path("a"), "t": (1,)}
    system = replace(record.systems[0], params=params)
    r.save(replace(record, systems=(system,)), tmp_path)
    assert r.load(tmp_path).systems[0].params == {
        "k1": 0.9, "n": 3, "big": "inf", "at": "a", "t": [1],
    }  # fmt: skip


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_numbers_are_refused(record, tmp_path, bad):
    """A record with NaN or infinity among its values is not saved, and leaves nothing behind."""
    cell = replace(record.cells[0], values={"nDCG@10": (bad,)})
    with pytest.raises(r.RecordError, match="NaN or infinity"):
        r.save(replace(record, cells=(cell,)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def edited(record, change):
    """The record's JSON after *change* to its parsed form."""
    data = json.loads(r.to_json(record))
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda d: d.update(schema=2), "schema is 2; this version reads", id="schema"),
        pytest.param(lambda d: d.pop("schema"), "schema is None", id="no schema"),
        pytest.param(lambda d: d.pop("seed"), "record: missing key 'seed'", id="missing"),
        pytest.param(lambda d: d.update(sead=1), "record: unknown key 'sead'", id="unknown"),
        pytest.param(lambda d: d.update(status="done"), "'complete' or 'partial'", id="choice"),
        pytest.param(lambda d: d.update(seed=True), "record.seed: expected a whole", id="bool"),
        pytest.param(
            lambda d: d["cells"][1]["cost"].update(build_ns="x"),
            "record.cells[1].cost.build_ns: expected a whole number, got 'x'",
            id="nested",
        ),
        pytest.param(
            lambda d: d["cells"][0]["values"].update({"RR@10": [1.0, None]}),
            "record.cells[0].values['RR@10'][1]: expected a finite number, got None",
            id="in a list",
        ),
        pytest.param(
            lambda d: d["cells"][0]["values"]["RR@10"].pop(), "'hybrid' lacks values", id="short"
        ),
        pytest.param(
            lambda d: d["cells"][0]["means"]["RR@10"].pop("low"), "lacks the mean", id="no bound"
        ),
        pytest.param(
            lambda d: d["cells"][0].update(suite="x"), "'x' (test) is not among", id="suite"
        ),
        pytest.param(lambda d: d["suites"][0]["kinds"].pop(), "lacks query_ids, kinds", id="kinds"),
        pytest.param(lambda d: d.update(suites={}), "expected a list, got {}", id="no list"),
        pytest.param(lambda d: d["suites"].append(3), "expected an object, got 3", id="no object"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(record, tmp_path, change, message):
    """The error names the file and the place, and says what was expected."""
    path = tmp_path / "record.json"
    path.write_text(edited(record, change))
    with pytest.raises(r.RecordError) as found:
        r.load(path)
    assert str(found.value).startswith(f"{path}: ")
    assert message in str(found.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"schema": 1, "seed": NaN}', b"[" * 100_000]
)
def test_what_is_no_record_is_refused(tmp_path, content):
    """Whatever the bytes, the answer is one error that names the file."""
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(r.RecordError, match=r"record\.json: "):
        r.load(tmp_path)


def test_infinity_written_as_a_number_is_refused(record, tmp_path):
    """1e999 is infinity however it is spelt."""
    path = tmp_path / "record.json"
    path.write_text(r.to_json(record).replace('"difference": 0.05', '"difference": 1e999', 1))
    with pytest.raises(r.RecordError, match="finite number"):
        r.load(path)


def test_a_missing_record_is_named(tmp_path):
    """A folder without a record gives an error that names the file looked for."""
    with pytest.raises(r.RecordError, match=r"record\.json: No such file"):
        r.load(tmp_path)


def test_csv_is_inert(record):
    """Text that a spreadsheet would run as a formula starts with an apostrophe; numbers do not."""
    ids = (
        "=cmd|' /C calc'!A0",
        "+1",
        "-1",
        "@x",
        "\tx",
        "\rx",
        "ok",
        *(f"q{i}" for i in range(13)),
    )
    suite = replace(record.suites[0], query_ids=ids, kinds=("=k",) * 20)
    cell = replace(record.cells[0], values={**record.cells[0].values, "RR@10": (-0.5,) * 20})
    made = replace(record, suites=(suite,), cells=(cell,))
    rows = list(csv.DictReader(io.StringIO(r.to_csv(made), newline="")))
    assert [row["query_id"] for row in rows[:7]] == [*(f"'{text}" for text in ids[:6]), "ok"]
    assert {row["kind"] for row in rows} == {"'=k"}
    assert {row["RR@10"] for row in rows} == {"-0.5"}


def test_csv_columns(record):
    """A row per finished system and query: where it belongs, then each measure."""
    header, *rows = csv.reader(io.StringIO(r.to_csv(record)))
    assert header == ["suite", "split", "query_id", "kind", "system",
                      "nDCG@10", "RR@10", "R@100", "Judged@10"]  # fmt: skip
    assert len(rows) == 3 * 20
    assert rows[20][:5] == ["models", "test", "q0", "task", "dense"]


def test_frame_has_a_row_a_cell_and_a_column_a_measure(record):
    """Means by (suite, split, system), a failed cell NaN, in the order they ran."""
    frame = record.frame()
    assert frame.shape == (4, 4)
    assert frame.index.names == ["suite", "split", "system"]
    assert list(frame.columns) == ["nDCG@10", "RR@10", "R@100", "Judged@10"]
    assert frame.loc[("models", "test", "dense"), "RR@10"] == 0.70
    assert frame.loc[("models", "test", "cross-encoder")].isna().all()
    assert set(map(str, frame.dtypes)) == {"float64"}


def test_per_query_has_a_row_a_query(record):
    """Values by (suite, split, system, query), with the kind; failed cells have no rows."""
    table = record.per_query()
    assert table.shape == (60, 5)
    assert table.index.names == ["suite", "split", "system", "query_id"]
    row = table.loc[("models", "test", "bm25", "q13")]
    assert row["kind"] == "language"
    assert row["nDCG@10"] == record.cells[2].values["nDCG@10"][13]


def test_suites_may_differ_in_measures(make_record):
    """A measure that a suite does not use is empty in the CSV and NaN in the frames."""
    made = make_record(suites=("a", "b"), systems=("bm25",), different=(), fails=())
    first, second = made.suites
    cells = (made.cells[0], replace(made.cells[1], values={}, means={}))
    made = replace(made, suites=(first, replace(second, measures=("P@5",))), cells=cells)
    assert list(made.frame().columns)[-1] == "P@5"
    assert math.isnan(made.frame().loc[("a", "test", "bm25"), "P@5"])
    assert made.per_query()["P@5"].isna().all()
    assert r.to_csv(made).splitlines()[1].endswith(',""')


def test_empty_record_has_empty_frames(make_record, tmp_path):
    """A run interrupted before its first system can be saved, loaded and looked at."""
    made = make_record(systems=(), fails=(), different=(), status="partial")
    r.save(made, tmp_path)
    assert r.load(tmp_path) == made
    assert made.frame().empty
    assert made.per_query().empty


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """Where replacing fails the old file stays and no temporary file is left."""
    path = tmp_path / "sub" / "file"
    files.write(path, b"old")

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]
