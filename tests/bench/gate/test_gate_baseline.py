"""The file of accepted values: what goes in, what comes out, what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.gate.baseline import baseline_of, load, merged, narrowed, rankings_of, save
from qrels.errors import BenchError, DataError
from reports.record import load as load_record


@pytest.fixture
def baseline(make_result, accepted):
    """baseline(values, **what) of a result made for it."""

    def make(values=None, systems=(), measures=(), **what):
        folder = make_result("result", values or {"bm25": accepted, "dense": accepted / 2}, **what)
        return baseline_of(load_record(folder), folder, systems, measures)

    return make


def test_what_is_saved_is_loaded_again(baseline, tmp_path, accepted):
    """All digits of the values; Judged@k is left out, and what says nothing of a ranking."""
    made = baseline({"bm25": accepted / 3})
    save(made, tmp_path / "b.json")
    assert load(tmp_path / "b.json") == made
    (cell,) = made.cells
    assert cell.measures == ("nDCG@10", "RR(rel=2)@10")
    assert cell.column("nDCG@10").tolist() == (accepted / 3).tolist()
    assert "cores" not in cell.environment


def test_a_changed_query_is_a_changed_line(baseline, tmp_path, accepted):
    """The same result gives the same bytes, another value of one query another line."""
    other = accepted.copy()
    other[3] += 0.1
    for name, values in (("a", accepted), ("b", accepted), ("c", other)):
        save(baseline({"bm25": values}), tmp_path / name)
    a, b, c = ((tmp_path / name).read_text().splitlines() for name in "abc")
    assert a == b
    assert [old[:5] for old, new in zip(a, c, strict=True) if old != new] == ['"q3":']


def test_accepting_replaces_the_cells_of_the_record_only(baseline, accepted):
    """Others stay as and where they were; new ones come last."""
    old = baseline()
    new = baseline({"fielded": accepted, "bm25": accepted / 4})
    found = merged(old, new)
    assert [cell.system.name for cell in found.cells] == ["bm25", "dense", "fielded"]
    assert found.cells[0] == new.cells[1]
    assert found.cells[1] == old.cells[1]


def test_accepting_keeps_to_the_measures_that_were_there(baseline):
    """A baseline of one measure does not grow."""
    found = narrowed(baseline(), baseline(systems=["bm25"], measures=["RR@10"]))
    assert [cell.measures for cell in found.cells] == [
        ("RR(rel=2)@10",), ("nDCG@10", "RR(rel=2)@10"),
    ]  # fmt: skip
    assert {len(line.values) for line in found.cells[0].queries.values()} == {1}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"status": "partial"}, "partial"),
        ({"values": {"bm25": np.zeros(40), "dense": None}}, "'dense' failed on 'toy'"),
        ({"values": {}}, "no system 'bm52'"),
        ({"measures": ["P@5"]}, "P(rel=2)@5 was not measured"),
        ({"measures": ["nDGC@5"]}, "did you mean"),
    ],
    ids=["partial", "failed", "unknown-system", "not-measured", "mistyped"],
)
def test_what_cannot_be_accepted_is_refused(baseline, what, message):
    """A baseline never lacks a cell of the record that it is made of."""
    if what.get("values") == {}:
        what = {"systems": ["bm52"]}
    with pytest.raises(BenchError) as raised:
        baseline(**what)
    assert message in str(raised.value)


def test_run_files_are_those_of_the_record(make_result, accepted):
    """A run file that is gone or was changed is refused by name."""
    folder = make_result("result", {"bm25": accepted})
    (cell,) = load_record(folder).cells
    assert rankings_of(cell, folder)["q0"] == ["a", "b", "c"]
    assert rankings_of(cell, folder)["unknown"] == []
    (folder / "runs" / "bm25.trec").write_text("q0 Q0 z 1 1 t\n")
    with pytest.raises(DataError, match="not the one in the record"):
        rankings_of(cell, folder)
    (folder / "runs" / "bm25.trec").unlink()
    with pytest.raises(DataError, match=r"bm25\.trec"):
        rankings_of(cell, folder)
    assert rankings_of(replace(cell, run_file=None), folder) is None


def test_a_half_written_file_never_remains(baseline, tmp_path, monkeypatch):
    """A disk that fills up leaves the earlier baseline, and nothing beside it."""
    path = tmp_path / "kept" / "b.json"
    save(made := baseline(), path)
    before = path.read_bytes()

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        save(replace(made, cells=made.cells[:1]), path)
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == ["b.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data | {"schema": 2}, "schema is 2"),
        (lambda data: data | {"cells": []}, "no cells"),
        (lambda data: data | {"more": 1}, "'more'"),
        (lambda data: {"schema": 1}, "'cells'"),
        (lambda data: [], "schema is None"),
        (lambda data: edit(data, [0.5]), "lacks values"),
        (lambda data: edit(data, [float("nan"), 1.0]), "finite number"),
        (lambda data: edit(data, ["0.5", 1.0]), "finite number"),
    ],
    ids=["schema", "empty", "unknown", "missing", "list", "short", "nan", "text"],
)
def test_a_file_that_is_no_baseline_is_refused(baseline, tmp_path, change, message):
    """By its name, with what is wrong."""
    path = tmp_path / "b.json"
    save(baseline(), path)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=r"b\.json") as raised:
        load(path)
    assert message in str(raised.value)


def edit(data, values):
    data["cells"][0]["queries"]["q3"]["values"] = values
    return data


@pytest.mark.parametrize("content", [b"", b"\xff", b'{"schema": 1', b"[" * 100_000])
def test_broken_json_is_refused(tmp_path, content):
    """Half a file, no text, or depth without end."""
    (tmp_path / "b.json").write_bytes(content)
    with pytest.raises(DataError, match=r"b\.json"):
        load(tmp_path / "b.json")


def test_a_missing_file_is_named(tmp_path):
    """As any other file is."""
    with pytest.raises(DataError, match=r"b\.json: No such file"):
        load(tmp_path / "b.json")
