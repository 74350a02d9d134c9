"""Data that attacks whoever reads the report, the tables, the terminal, or the disk."""

import csv
import gzip
import json
import os
import re
import zlib
from pathlib import Path

import numpy as np
import pytest

from qrels.errors import BenchError, DataError
from qrels.files import read_data, read_toml
from reports.cells import as_written, inert

HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "markdown": "[click](javascript:alert(1)) ![x](http://evil.test/x) | `a` **b** # c",
    "table": "a|b\\|c\n| injected | row |",
    "ansi": "\x1b[31mred\x1b]0;title\x07\x9b2J\r\x08gone",
    "bidi": "\u202egpj.exe\u2066\u2067\u200f",
    "formula": "=cmd|'/c calc'!A1",
    "plus": "+1+cmd", "minus": "-2+3", "at": "@SUM(1)", "wide": "\uff1dcmd()",
    "path": "../../../../outside/evil",
    "absolute": "/outside/evil",
    "nul": "a\x00b",
    "math": "$x_{\\frac{ $",
    "surrogates": "\ufffe\uffff\U0001f4a9",
    "long": "x" * 5000,
    "reserved": "CON.txt:stream",
}  # fmt: skip
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200f]")


def hostile_suite(folder: Path) -> Path:
    """A suite whose name, ids, titles, texts, kinds and metadata are all hostile."""
    (folder / "qrels").mkdir(parents=True)
    words = list(HOSTILE.values())
    ids = [re.sub(r"[\t\n\r]", " ", word) for word in words]
    docs = [
        {"_id": f"{one}d{i}", "title": word, "text": f"{word} planet {i}", "metadata": {"m": word}}
        for i, (one, word) in enumerate(zip(ids, words, strict=True))
    ]
    queries = [
        {"_id": f"{one}q{i}", "text": f"planet {word}", "metadata": {"kind": word}}
        for i, (one, word) in enumerate(zip(ids, words, strict=True))
    ]
    for name, rows in (("corpus", docs), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [f"{q['_id']}\t{d['_id']}\t1" for q, d in zip(queries, docs, strict=True)]
    text = "\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n"
    (folder / "qrels" / "test.tsv").write_text(text)
    return folder


def toml(value: str) -> str:
    return json.dumps(value).replace("\\ud83d\\udca9", "\U0001f4a9").replace("\x7f", "\\u007f")


@pytest.fixture(scope="module")
def finished(kept_folder, start):
    """A run over hostile data by systems of hostile names: the folder, exit code, output, error."""
    place = kept_folder / "inside" / "deep" / "place"
    hostile_suite(place / "toy")
    (place / "toy" / "suite.toml").write_text(
        f"name = {toml(HOSTILE['path'])}\ndescription = {toml(HOSTILE['html'])}\n"
        "[metadata]\nm = 'str'\n"
    )
    names = [name for key, name in HOSTILE.items() if key != "absolute"]  # of one slug with path
    systems = "".join(f"[[system]]\nname = {toml(n)}\nretriever = 'bm25'\n" for n in names)
    (place / "x.toml").write_text(f"suites = ['toy']\nname = {toml(HOSTILE['path'])}\n{systems}")
    process = start(place, "run", "--experiment", "x.toml", "--no-latency", "--out", "out")
    output, error = process.communicate(timeout=300)
    return kept_folder, process.returncode, output, error


def test_a_run_over_hostile_data_finishes(finished):
    """Nothing in data or names makes a run or its report fail."""
    _, code, _, error = finished
    assert code == 0, error


def test_nothing_is_written_outside(finished):
    """Names that are paths become names of files inside the result folder."""
    folder = finished[0]
    place = folder / "inside" / "deep" / "place"
    assert [path.name for path in folder.iterdir()] == ["inside"]
    assert [path.name for path in (folder / "inside").iterdir()] == ["deep"]
    assert sorted(path.name for path in place.iterdir()) == ["cache", "out", "toy", "x.toml"]
    assert {path.name for path in (place / "out").iterdir()} <= {
        "record.json", "report.md", "per_query.csv", "plots", "runs",
    }  # fmt: skip


def test_the_report_shows_data_and_runs_none_of_it(finished):
    """No tag, link, image, control or direction character of the data is live in the report."""
    text = (finished[0] / "inside/deep/place/out/report.md").read_text()
    bare = re.sub(r"\\.", "", re.sub(r"`[^`\n]*`", "", text))
    assert not re.search(r"<(script|img)", text, re.IGNORECASE)
    assert "](javascript" not in bare
    assert "](http://evil" not in bare
    assert not STEERING.search(text)
    assert "\n| injected" not in text


def test_no_cell_of_a_table_is_a_formula(finished):
    """Each text in per_query.csv that a spreadsheet would run stands behind an apostrophe."""
    path = finished[0] / "inside/deep/place/out/per_query.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    cells = [cell for row in rows[1:] for cell in row[:5]]
    assert any(cell.startswith("'=cmd") for cell in cells)
    assert not [cell for cell in cells if re.match("[=+@\t\r\n\uff1d-]", cell)]


def test_a_terminal_obeys_no_data(finished):
    """Neither output nor error holds a character that steers a terminal."""
    _, _, output, error = finished
    assert not STEERING.search(output)
    assert not STEERING.search(error)


def test_errors_show_hostile_names_as_they_are(toy_folder, start):
    """What a message quotes cannot clear the screen; not even the path of a file."""
    place = toy_folder.parent
    for arguments in (
        ["run", "--suite", "\x1b[2Jtoy"],
        ["run", "--suite", "toy", "--system", "bm25?k1=\x1b]0;x\x07"],
        ["evaluate", "\x1b[31mred", "run", "nDCG@10"],
        ["report", "\u202efolder"],
    ):
        process = start(place, *arguments)
        output, error = process.communicate(timeout=60)
        assert process.returncode in (2, 4), error
        assert not STEERING.search(output + error), error


def test_a_terminal_shows_escapes_of_the_output(toy_folder, start):
    """On a terminal standard output is as tame as standard error."""
    import pty

    place = toy_folder.parent
    evil = {"_id": "evil", "title": "\x1b[31mplanet", "text": "planet \u202e planet"}
    with (toy_folder / "corpus.jsonl").open("a") as file:
        file.write(json.dumps(evil) + "\n")
    ours, theirs = pty.openpty()
    process = start(place, "search", "planet", "--suite", "toy", "--system", "bm25", stdout=theirs)
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert b"evil" in shown
    assert b"\x1b" not in shown
    assert "\u202e".encode() not in shown


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 4096)
    except OSError:  # the terminal's other end is closed
        return b""


@pytest.mark.parametrize("text", [*HOSTILE.values(), "'=x", "''=x", "'", "", "plain", "'plain"])
def test_a_cell_gives_its_text_back(text):
    """What is made harmless for a spreadsheet is read back to the letter."""
    assert as_written(inert(text)) == text
    assert not inert(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize(
    "name",
    ["../../x", "/etc/passwd", "runs/../../x", "runs\\..\\..\\x", "C:x", "runs/a\0b", "", "."],
)
def test_a_record_names_no_file_outside_its_folder(record, tmp_path, name):
    """A record from elsewhere whose run file is any other file is refused by every command."""
    from dataclasses import replace

    from reports.record import RecordError, load, to_json

    cells = (replace(record.cells[0], run_file=name), *record.cells[1:])
    (tmp_path / "record.json").write_text(to_json(replace(record, cells=cells)))
    with pytest.raises(RecordError, match="is no file within the result folder"):
        load(tmp_path)


def bomb(path: Path, size: int) -> Path:
    """A gzip file of *size* bytes of one JSON line's beginning, made without holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * (1 << 20)
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(packer.compress(block))
        file.write(packer.flush())
    return path


def test_a_zip_bomb_is_one_line(tmp_path, monkeypatch):
    """500 MB of nothing in 500 kB is refused once it is past the limit, which the message names."""
    path = bomb(tmp_path / "corpus.jsonl.gz", 1 << 29)
    assert path.stat().st_size < 2 << 20
    with pytest.raises(DataError, match=r"unpacks to more than 268,435,456 bytes.*BENCH_UNPACK"):
        read_data(path)
    monkeypatch.setenv("BENCH_UNPACK_LIMIT", "1000")
    (tmp_path / "small.gz").write_bytes(gzip.compress(b"x" * 1001))
    with pytest.raises(DataError, match="more than 1,000 bytes"):
        read_data(tmp_path / "small.gz")
    (tmp_path / "fits.gz").write_bytes(gzip.compress(b"x" * 1000))
    assert len(read_data(tmp_path / "fits.gz")) == 1000


@pytest.mark.parametrize(
    "line",
    ['{"_id": 1e999}', '{"_id": ' + "9" * 5000 + "}", "[" * 100_000, '{"a":' * 100_000,
     '{"_id": "\\ud800"}', "NaN", "\x00"],
    ids=["infinity", "5000-digits", "deep-list", "deep-object", "half-pair", "nan", "nul"],
)  # fmt: skip
def test_absurd_json_is_one_line(tmp_path, line):
    """Depth, numbers and Unicode that JSON should not have end in one line that names the place."""
    from qrels.beir import read_corpus

    path = tmp_path / "corpus.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(BenchError, match=r"corpus\.jsonl:1"):
        read_corpus(path)


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 5000, "a = 'x\0'"])
def test_absurd_toml_is_one_line(tmp_path, text):
    """As JSON."""
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"x\.toml"):
        read_toml(path)


def test_pickled_arrays_are_never_loaded(tmp_path):
    """An .npy of objects, which would run code when unpickled, is refused, and nothing runs."""
    import retrievers
    from qrels.data import Corpus

    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    trap = np.empty(1, object)
    trap[0] = Trap()
    np.save(tmp_path / "vectors.npy", trap, allow_pickle=True)
    corpus = Corpus(["d"], {"text": ["x"]})
    params = {"path": str(tmp_path / "vectors.npy"), "encoder": "hashing"}
    with pytest.raises(BenchError, match="vectors"):
        retrievers.create("precomputed", params).index(corpus)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/dev/zero", "corpus.jsonl"),
        ("corpus.jsonl", "corpus.jsonl"),
        ("nowhere", "corpus.jsonl"),
        (".", "corpus.jsonl"),
    ],
    ids=["endless", "itself", "nowhere", "folder"],
)
def test_links_in_a_suite_lead_nowhere_bad(toy_folder, start, target, message):
    """A corpus that is a link to a device, to itself, or to nothing is one line, exit code 2."""
    (toy_folder / "corpus.jsonl").unlink()
    (toy_folder / "corpus.jsonl").symlink_to(target)
    process = start(toy_folder.parent, "run", "--suite", "toy", "--system", "bm25", "--out", "out")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
def test_an_endless_file_is_not_read(device):
    """A device in place of a file is refused before memory is full."""
    with pytest.raises(DataError, match=f"{device}: a device; expected a file"):
        read_data(Path(device))


@pytest.mark.parametrize(
    "text",
    [
        'suites = ["a\\u0000b"]',
        'suites = ["models"]\nname = "a\\u0000b"',
        'suites = ["models"]\nsystem = [{retriever="precomputed", params={path="a\\u0000b"}}]',
    ],
    ids=["suite", "name", "path"],
)
def test_a_nul_in_a_name_is_one_line(toy_folder, start, text):
    """A path with a NUL, which no system call takes, never ends in a traceback."""
    place = toy_folder.parent
    (place / "x.toml").write_text(text)
    process = start(place, "run", "--experiment", "x.toml", "--dry-run")
    _, error = process.communicate(timeout=60)
    assert "Traceback" not in error
    assert process.returncode in (0, 2)
