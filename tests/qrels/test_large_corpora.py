"""The fast reader gives what the exact one gives, from the cache as well, and refuses the rest."""

import gzip
import json
import os
import pickle
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qrels import beir, content, corpus_cache, fast_corpus
from qrels.beir import FieldSpec, read_corpus
from qrels.corpus_parts import Plan, parsed
from qrels.data import Corpus
from qrels.errors import BenchError
from qrels.fast_corpus import Refused
from qrels.suites import load_suite
from qrels.text_column import TextColumn


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own; no file is too small for the fast reader."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(beir, "FAST_FROM", 0)
    return tmp_path / "cache"


def exact(monkeypatch, path, *args):
    with monkeypatch.context() as patch:
        patch.setattr(beir, "FAST_FROM", 1 << 60)
        return outcome(path, *args)


def outcome(path, *args):
    """The content of the corpus, or the message."""
    try:
        return content_of(read_corpus(path, *args))
    except BenchError as error:
        return str(error)


def content_of(corpus: Corpus):
    columns = {name: (c.kind, repr(c.values.tolist())) for name, c in corpus.metadata.items()}
    fields = {name: list(texts) for name, texts in corpus.fields.items()}
    return list(corpus.doc_ids), fields, dict(corpus.weights), columns


GOOD = '{"_id": "a", "title": "T", "text": "x y", "metadata": {"n": 1}}'

CASES = {
    "plain": [GOOD, '{"_id":"b","text":""}'],
    "no-title": ['{"_id":"b","text":"u"}', '{"_id":"c","text":"v"}'],
    "null-title": ['{"_id":"b","text":"u","title":null}', GOOD],
    "keys-in-another-order": ['{"text":"u","x":[1,{"a":[]},{}],"_id":"b","title":"t"}'],
    "escapes": [r'{"_id":"\u00e9\n","text":"\"\\\/\b\f\n\r\t \ud83d\ude00 \u0000 \u4e2d"}'],
    "many-bytes-a-character": ['{"_id":"é中😀","text":"aaaaaaaé中😀ßaaaaaaaa中bb"}'],
    "blank-lines": ["", GOOD, "  ", "", '{"_id":"b","text":"u"}', ""],
    "white-space": ['  { "_id" :\t"b" , "text" : "u" , "z" : [ 1 , 2 ] }  '],
    "carriage-returns": [GOOD + "\r", '{"_id":"b","text":"u"}\r'],
    "numbers": [
        '{"_id":"b","text":"u","a":-0.5e+10,"b":[0,-0,1E5,1.25],"c":true,"d":[false,null]}'
    ],
    "key-with-escape": [r'{"\u005fid":"b","text":"u"}'],
    "key-twice": ['{"_id":"b","text":"u","text":"v"}'],
    "nan": ['{"_id":"b","text":"u","a":NaN}'],
    "huge-number": ['{"_id":"b","text":"u","a":' + "1" * 400 + "}"],
    "list-title": ['{"_id":"b","text":"u","title":["t"]}'],
    "metadata-null": ['{"_id":"b","text":"u","metadata":null}'],
    "id-twice": [GOOD, GOOD],
    "id-empty": ['{"_id":"","text":"u"}'],
    "id-missing": [GOOD, '{"text":"u"}'],
    "id-number": ['{"_id":7,"text":"u"}'],
    "text-missing": ['{"_id":"b"}'],
    "text-null": ['{"_id":"b","text":null}'],
    "no-object": ["[1]"],
    "empty-object": ["{}"],
    "half-a-pair": [r'{"_id":"b","text":"\ud800"}'],
    "half-a-pair-in-a-key": [r'{"_id":"b","text":"u","a":{"\udc00":1}}'],
    "two-on-a-line": ['{"_id":"b","text":"u"}{"_id":"c","text":"v"}'],
    "over-two-lines": ['{"_id":"b",', '"text":"u"}'],
    "cut-off": ['{"_id":"b","text":"u'],
    "comma-too-many": ['{"_id":"b","text":"u",}'],
    "leading-zero": ['{"_id":"b","text":"u","a":01}'],
    "control-character": ['{"_id":"b","text":"u\tv"}'],
    "bad-escape": [r'{"_id":"b","text":"\x41"}'],
    "bad-word": ['{"_id":"b","text":"u","a":nul}'],
    "bad-nesting": ['{"_id":"b","text":"u","a":[1}}'],
    "deep": ['{"_id":"b","text":"u","a":' + "[" * 100 + "]" * 100 + "}"],
    "only-unicode-blank": ["\x1c"],
    "other-blank": ["\u00a0", GOOD],
}


@pytest.mark.parametrize("lines", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("ending", ["", "\n"], ids=["cut", "ended"])
def test_each_case_comes_out_as_from_the_exact_reader(tmp_path, monkeypatch, lines, ending):
    """The corpus or the message is the exact reader's, the first time and from the cache."""
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(lines) + ending, encoding="utf-8", newline="")
    expected = exact(monkeypatch, path)
    assert outcome(path) == expected
    assert outcome(path) == expected


@pytest.mark.parametrize(
    ("name", "taken"), [("plain", True), ("escapes", True), ("numbers", True), ("deep", False)]
)
def test_what_is_regular_is_not_refused(tmp_path, name, taken):
    """The fast reader is in use at all, and refuses what it should."""
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(CASES[name]), encoding="utf-8")
    try:
        assert (len(parsed(path, Plan(None, {}))) > 0) is taken
    except Refused:
        assert not taken


@pytest.mark.parametrize(
    "raw", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe4"]
)
def test_bytes_that_are_no_utf8_are_named_as_ever(tmp_path, monkeypatch, raw):
    """Overlong forms, surrogates and cut characters are errors with the line."""
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(GOOD.encode() + b'\n{"_id":"b","text":"' + raw + b'"}\n')
    assert outcome(path) == exact(monkeypatch, path)
    assert "not valid UTF-8" in outcome(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
DOCUMENTS = st.fixed_dictionaries(
    {"_id": st.text(min_size=1, max_size=9), "text": st.text()},
    optional={"title": st.none() | st.text(max_size=20), "metadata": JSON, "other": JSON},
)
LINES = st.one_of(
    st.builds(
        lambda item, plain, space: json.dumps(item, ensure_ascii=plain, separators=space),
        DOCUMENTS,
        st.booleans(),
        st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")]),
    ),
    st.just(""),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(LINES, max_size=6),
    change=st.none() | st.tuples(st.integers(0, 400), st.binary(max_size=2)),
    packed=st.booleans(),
    bom=st.booleans(),
)
def test_any_file_comes_out_as_from_the_exact_reader(
    tmp_path, monkeypatch, lines, change, packed, bom
):
    """Whatever the lines, with a few bytes written over, with a BOM, packed or not."""
    data = bytearray((b"\xef\xbb\xbf" if bom else b"") + "\n".join(lines).encode(errors="replace"))
    if change is not None:
        data[change[0] : change[0] + 1] = change[1]
    path = tmp_path / f"corpus.jsonl{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(bytes(data)) if packed else bytes(data))
    assert outcome(path) == exact(monkeypatch, path)
    named = {"body": FieldSpec("text", 2.0), "tag": FieldSpec("metadata.a"), "id": FieldSpec("_id")}
    assert outcome(path, named) == exact(monkeypatch, path, named)


COLUMNS = {"s": "str", "i": "int", "f": "float", "d": "date", "l": "list"}


@pytest.mark.parametrize(
    "values",
    [
        [{"s": "é", "i": 3, "f": 0.5, "d": "2024-12-31", "l": ["a", ""]}, {}],
        [{"s": "", "i": None, "f": 1, "d": "2024-12-31T23:59:59+01:00", "l": []}, {"s": "b"}],
        [{"s": 5, "i": 1, "f": 1, "d": "2024-01-01", "l": []}],
        [{"s": "a"}],
    ],
    ids=["all", "some", "wrong", "lacking"],
)
def test_metadata_columns_are_the_same(tmp_path, monkeypatch, values):
    """Every kind of column, missing values and errors are those of the exact reader."""
    path = tmp_path / "corpus.jsonl"
    items = ({"_id": f"d{i}", "text": "t", "metadata": own} for i, own in enumerate(values))
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    for fields in (None, {"text": FieldSpec("text"), "own": FieldSpec("metadata.s", 3)}):
        expected = exact(monkeypatch, path, fields, COLUMNS)
        assert outcome(path, fields, COLUMNS) == expected
        assert outcome(path, fields, COLUMNS) == expected


def test_what_is_called_gz_and_is_not_is_refused_as_ever(tmp_path, monkeypatch):
    """The name says how a file is packed."""
    path = tmp_path / "corpus.jsonl.gz"
    path.write_text(GOOD)
    assert outcome(path) == exact(monkeypatch, path)
    assert "damaged gzip" in outcome(path)


def test_a_file_that_unpacks_beyond_all_measure_is_refused(tmp_path, monkeypatch):
    """The limit is that of the exact reader, and so is the message."""
    path = tmp_path / "corpus.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"_id":"a","text":""}' + b"\n" * 10_000))
    assert outcome(path)[0] == ["a"]
    monkeypatch.setenv("BENCH_UNPACK_LIMIT", "5000")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "other"))
    assert outcome(path) == exact(monkeypatch, path)
    assert "unpacks to more than 5,000 bytes" in outcome(path)


def many(path: Path, n: int = 3000) -> Path:
    """A corpus over several blocks, some characters of several bytes."""
    lines = (
        json.dumps({"_id": f"d{i}", "title": "é" * (i % 3), "text": f"text {i} " * (i % 7)})
        for i in range(n)
    )
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("block", [128, 1000, 4096])
def test_lines_go_on_from_block_to_block(tmp_path, monkeypatch, block):
    """Where the file is cut for the threads makes no difference."""
    monkeypatch.setattr(fast_corpus, "BLOCK", block)
    monkeypatch.setattr(fast_corpus, "STRIDE", 2 * block + 64)
    monkeypatch.setattr(fast_corpus, "ROWS", 2 * block // fast_corpus.SHORTEST_LINE)
    path = many(tmp_path / "corpus.jsonl")
    assert content_of(parsed(path, Plan(None, {})))[:2] == exact(monkeypatch, path)[:2]


def entries(cache: Path) -> list[Path]:
    return [path.parent for path in (cache / corpus_cache.FOLDER).glob("*/about.json")]


def test_a_second_opening_reads_nothing_of_the_source(tmp_path, cache, monkeypatch):
    """Once stamped, source and entry are believed by their times and not read again."""
    path = many(tmp_path / "corpus.jsonl")
    monkeypatch.setattr(content, "SETTLED", -1)
    first = content_of(read_corpus(path))
    read_corpus(path)
    for module in (content, corpus_cache):
        monkeypatch.setattr(module, "sha256", lambda _: pytest.fail("hashed again"))
    monkeypatch.setattr(corpus_cache, "parse", lambda *_: pytest.fail("parsed again"))
    assert content_of(read_corpus(path)) == first
    assert len(entries(cache)) == 1


def test_a_file_written_over_with_its_times_set_back_is_read_again(tmp_path, monkeypatch):
    """Same size and time of writing: the time of change still tells."""
    monkeypatch.setattr(content, "SETTLED", -1)
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"_id":"a","text":"old"}')
    read_corpus(path)
    times = path.stat()
    time.sleep(0.02)  # more than the clock of the file system needs
    path.write_text('{"_id":"a","text":"new"}')
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert list(read_corpus(path).fields["text"]) == ["new"]


def test_a_file_just_written_is_not_stamped(tmp_path, cache):
    """Its times could stay the same through another write within the clock's resolution."""
    read_corpus(many(tmp_path / "corpus.jsonl"))
    assert not (cache / corpus_cache.FOLDER / "stamps").exists()


DAMAGE = {
    "flipped": lambda path: path.write_bytes(
        bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]
    ),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize(
    "name", ["ids.utf8", "ids.offsets.npy", "field-1.utf8", "descending.npy", "about.json"]
)
def test_a_damaged_entry_is_made_anew(tmp_path, cache, monkeypatch, damage, name):
    """A flipped bit, a cut or a missing file is found, and the entry is whole afterwards."""
    monkeypatch.setattr(content, "SETTLED", -1)
    path = many(tmp_path / "corpus.jsonl")
    before = content_of(read_corpus(path))
    read_corpus(path)
    (entry,) = entries(cache) or [None]
    damage(entry / name)
    assert content_of(read_corpus(path)) == before
    files = json.loads((entry / "about.json").read_text())["files"]
    assert all(content.sha256(entry / file) == digest for file, digest in files.items())


def test_a_file_that_changes_while_it_is_read_gets_no_entry(tmp_path, cache, monkeypatch):
    """The entry would hold what its name does not say."""
    path = many(tmp_path / "corpus.jsonl")
    parse = corpus_cache.parse

    def changing(*args):
        path.write_text('{"_id":"new","text":"t"}')
        return parse(*args)

    monkeypatch.setattr(corpus_cache, "parse", changing)
    assert list(read_corpus(path).doc_ids) == ["new"]
    assert entries(cache) == []
    assert list((cache / corpus_cache.FOLDER).glob(".*")) == []


def test_without_a_cache_folder_a_corpus_is_read_all_the_same(tmp_path, monkeypatch):
    """Nothing can be written below /dev/null."""
    path = many(tmp_path / "corpus.jsonl")
    before = content_of(read_corpus(path))
    monkeypatch.setenv("BENCH_CACHE", "/dev/null/none")
    assert content_of(read_corpus(path)) == before


def test_a_suite_has_the_same_digest_however_it_was_read(tmp_path, monkeypatch, cache):
    """From the exact reader, parsed fast, and from the cache, where it is kept; damage is seen."""
    many(tmp_path / "corpus.jsonl", 50)
    (tmp_path / "queries.jsonl").write_text('{"_id":"q","text":"text 3"}')
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td3\t1\nq\tno\t1\n")
    with monkeypatch.context() as patch:
        patch.setattr(beir, "FAST_FROM", 1 << 60)
        expected = load_suite(tmp_path)
    first, again = load_suite(tmp_path), load_suite(tmp_path)
    assert first.digest == again.digest == expected.digest
    assert first.qrels.docs.tolist() == expected.qrels.docs.tolist()
    (kept,) = (cache / corpus_cache.FOLDER).glob("*/suites.json")
    kept.write_text(kept.read_text().replace(expected.digest, "0" * 64))
    assert load_suite(tmp_path).digest == expected.digest


TEXTS = ["b", "", "a", "ab", "a\0", "é", "😀", "\uffff", "a" * 30, "c" * 8, "c" * 9, "cccccccd"]


@pytest.mark.parametrize("extra", [[], ["z" * 100]], ids=["as-numbers", "as-strings"])
def test_ids_in_a_column_are_ordered_and_found_as_strings_are(extra):
    """By code point down, as in a corpus of strings; a text that is a start of another is less."""
    ids = TEXTS + extra
    column, strings = Corpus(TextColumn.of(ids), {}), Corpus(ids, {})
    assert column.tie_order.tolist() == strings.tie_order.tolist()
    found = [column.doc_ids.find(name) for name in [*ids, "no", "aa"]]
    assert found == [*range(len(ids)), None, None]
    assert column.places(["é", "no"]).tolist() == strings.places(["é", "no"]).tolist() == [5, -1]


def test_a_column_is_a_sequence_of_its_texts(tmp_path):
    """Items, slices, iteration, equality; pickled as bytes or as its place."""
    column = TextColumn.of(TEXTS)
    assert list(column) == TEXTS == [column[i] for i in range(len(TEXTS))]
    assert column == TEXTS
    assert column[2:5] == TEXTS[2:5]
    assert column[::-2] == TEXTS[::-2]
    assert column[-1] == TEXTS[-1]
    assert column[5:2] == []
    assert column != TEXTS[1:]
    assert column != [*TEXTS[1:], ""]
    with pytest.raises(IndexError):
        column[len(TEXTS)]
    assert pickle.loads(pickle.dumps(column)) == column
    data, offsets = column.utf8()
    data.tofile(tmp_path / "c.utf8")
    np.save(tmp_path / "c.offsets.npy", offsets)
    mapped = TextColumn.mapped(tmp_path, "c")
    assert pickle.loads(pickle.dumps(mapped)) == column
    assert len(pickle.dumps(mapped)) < 300
    assert not mapped.utf8()[0].flags.writeable


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["c", "a", "b"]])
def test_fields_are_joined_as_strings_are(names):
    """What is not empty, in order, by one space."""
    fields = {"a": ["x", "", "é", ""], "b": ["y", "z", "", ""], "c": ["", "", "1", ""]}
    columns = {name: TextColumn.of(texts) for name, texts in fields.items()}
    ids = ["1", "2", "3", "4"]
    assert list(Corpus(ids, columns).joined(names)) == Corpus(ids, fields).joined(names)


def test_drafts_of_the_killed_are_removed_after_a_day(tmp_path, cache):
    """A younger one may still be in the making."""
    home = cache / corpus_cache.FOLDER
    old, young = home / ".old.1", home / ".young.1"
    for draft in (old, young):
        draft.mkdir(parents=True)
    os.utime(old, (1, 1))
    read_corpus(many(tmp_path / "corpus.jsonl"))
    assert young.exists()
    assert not old.exists()
    shutil.rmtree(young)
