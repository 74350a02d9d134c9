"""`bench cache`: what is kept is counted, checked, limited, and removed without anything else."""

import json
import os
import time

import numpy as np
import pytest

from bench import caches
from bench.caches import drafts, empty_cache, entries, evict, keep_to_limit, limit_bytes
from bench.cli import main
from bench.config import System
from bench.search import index_folder, save_index
from bench.stages import FOLDER, save_stage
from bench.system import index, make
from encoders.cache import CachedEncoder, cache_folder
from encoders.hashing import Hashing
from qrels.data import Run
from qrels.errors import UsageError

KEYS = [f"{number:032x}" for number in range(4)]
DAY = 86_400


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BENCH_CACHE_LIMIT", raising=False)


@pytest.fixture
def filled(toy_corpus):
    """One file of embeddings, two rankings, an index and a corpus, used ever later."""
    CachedEncoder(Hashing(8)).encode(["a", "b"], "passage")
    for key in KEYS[:2]:
        save_stage(key, Run(np.zeros((2, 3), np.int32), np.ones((2, 3), np.float32)))
    system = System("bm25", "bm25")
    built = make(system, toy_corpus)
    index(built)
    save_index(built, index_folder(system, "digest"))
    corpus = cache_folder() / "corpora-1" / KEYS[2]
    corpus.mkdir(parents=True)
    (corpus / "ids.utf8").write_text("one")
    about = {"files": {"ids.utf8": caches.sha256(corpus / "ids.utf8")}}
    (corpus / "about.json").write_text(json.dumps(about))
    (corpus.parent / "stamps").mkdir()  # what files hold: no entry
    for age, path in enumerate(reversed(places())):
        os.utime(path, (time.time() - (age + 1) * 10 * DAY,) * 2)
    return places()


def places():
    """The paths of the five entries."""
    folder = cache_folder()
    return [
        *folder.glob("embeddings-1/*/*/*.emb"),
        *sorted(folder.glob(f"{FOLDER}/*")),
        *folder.glob("indexes/*"),
        folder / "corpora-1" / KEYS[2],
    ]


def bench(*words, code=0):
    assert main(["cache", *words]) == code


def test_info_counts_each_kind(filled, capsys):
    """Entries and bytes by kind, embeddings by encoder, and the limit."""
    bench("info")
    shown = capsys.readouterr().out
    counts = {line.split()[0]: line.split()[1] for line in shown.splitlines() if "  " in line}
    assert (counts["embeddings"], counts["rankings"], counts["indexes"]) == ("1", "2", "1")
    assert (counts["corpora"], counts["models"], counts["all"]) == ("1", "0", "5")
    assert "hashing 1 dimension 8 seed 0" in shown
    assert "limit 50 GB" in shown
    files = [path for place in filled for path in (place.rglob("*") if place.is_dir() else [place])]
    total = sum(path.stat().st_size for path in files if path.is_file())
    assert sum(entry.size for entry in entries()) == total


def test_an_empty_cache_is_no_error(capsys):
    """Neither is one that is not there."""
    for words in (["info"], ["verify"], ["clear"]):
        bench(*words)
    assert "0 entries" in capsys.readouterr().out
    assert not cache_folder().exists()


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ([], []),
        (["--kind", "rankings"], [0, 3, 4]),
        (["--older-than", "35d"], [2, 3, 4]),
        (["--older-than", "3w", "--kind", "corpora"], [0, 1, 2, 3, 4]),
        (["--dry-run"], [0, 1, 2, 3, 4]),
    ],
    ids=["all", "kind", "older", "older-of-a-kind", "dry-run"],
)
def test_clear_removes_what_is_asked_for(filled, words, left):
    """By kind and by age; with --dry-run nothing at all."""
    bench("clear", *words)
    assert [number for number, path in enumerate(filled) if path.exists()] == left


def test_a_dry_run_lists_what_would_go(filled, capsys):
    """Every path of an entry, and their number."""
    bench("clear", "--dry-run")
    shown = capsys.readouterr().out
    assert all(str(path) in shown for path in filled)
    assert "5 entries" in shown


def test_clear_leaves_what_the_cache_does_not_own(filled, tmp_path):
    """Files of other names, and what lies behind a link."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("mine")
    own = [cache_folder() / "notes.txt", cache_folder() / "indexes" / "my folder" / "a"]
    for path in own:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (cache_folder() / FOLDER / KEYS[3]).symlink_to(elsewhere)
    bench("clear")
    assert (elsewhere / "mine.txt").exists()
    assert all(path.exists() for path in own)


def flipped(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


DAMAGES = {
    "embeddings": lambda places: flipped(places[0]),
    "rankings": lambda places: flipped(places[1] / "scores.npy"),
    "indexes": lambda places: flipped(next(places[3].rglob("*.npy"))),
    "corpora": lambda places: flipped(places[4] / "ids.utf8"),
    "no-about": lambda places: (places[4] / "about.json").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_verify_finds_what_is_broken(filled, damage, capsys):
    """It says so with exit code 1, and with --fix removes that entry alone."""
    bench("verify")
    damage(filled)
    bench("verify", code=1)
    assert all(path.exists() for path in filled)
    bench("verify", "--fix", code=1)
    assert sum(path.exists() for path in filled) == 4
    assert "5 entries checked, 1 broken" in capsys.readouterr().out
    bench("verify")


def test_verify_checks_exported_models_by_their_names(filled):
    """The file of a model is named by its content."""
    folder = cache_folder() / "models-1" / KEYS[3]
    folder.mkdir(parents=True)
    (folder / "x").write_bytes(b"graph")
    right = folder / f"{caches.sha256(folder / 'x')}.onnx"
    (folder / "x").rename(right)
    bench("verify", "--kind", "models")
    right.write_bytes(b"other")
    bench("verify", "--kind", "models", code=1)


def test_the_longest_unused_go_first_when_it_is_too_large(filled):
    """As many as it takes, and no more."""
    sizes = [entry.size for entry in entries()]
    assert evict(sum(sizes)) == 0
    freed = evict(sum(sizes) - sizes[0] - 1)
    assert freed == sizes[0] + sizes[1]
    assert [path.exists() for path in filled] == [False, False, True, True, True]


def test_what_a_run_uses_is_not_evicted(filled, monkeypatch):
    """An entry used since the oldest run began stays, whatever the limit."""
    monkeypatch.setenv("BENCH_CACHE_LIMIT", "1B")
    said = []
    with keep_to_limit(said.append), keep_to_limit(said.append):
        os.utime(filled[1])
    assert [path.exists() for path in filled] == [False, True, False, False, False]
    assert len(said) == 1
    assert list((cache_folder() / caches.LEASES).iterdir()) == []


def test_the_lease_of_a_dead_run_holds_nothing(filled):
    """Nobody has the lock of its file, so it counts for nothing and is removed."""
    lease = cache_folder() / caches.LEASES / "dead"
    lease.parent.mkdir()
    lease.touch()
    os.utime(lease, (0, 0))
    assert evict(0) > 0
    assert not lease.exists()
    assert not any(path.exists() for path in filled)


@pytest.mark.parametrize("text", ["much", "-1GB", "0", "GB", "1e3"])
def test_a_limit_that_is_no_size_is_refused(monkeypatch, text, capsys):
    """One line, exit code 2."""
    monkeypatch.setenv("BENCH_CACHE_LIMIT", text)
    with pytest.raises(UsageError, match="BENCH_CACHE_LIMIT"):
        limit_bytes()
    bench("info", code=2)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_old_drafts_of_the_dead_are_cleared(filled):
    """Hidden folders and .tmp files a day old; younger ones may be someone's work."""
    old = cache_folder() / FOLDER / ".old"
    young = cache_folder() / FOLDER / ".young"
    loose = filled[0].with_name("x.tmp")
    for folder in (old, young):
        folder.mkdir()
    loose.touch()
    for path in (old, loose):
        os.utime(path, (0, 0))
    assert sorted(drafts()) == sorted([old, loose])
    bench("clear")
    assert [path.exists() for path in (old, loose, young)] == [False, False, True]


def test_an_empty_cache_is_gone_afterwards():
    """Inside, all that is kept goes to a folder of its own; the setting is put back."""
    before = cache_folder()
    with empty_cache():
        inside = cache_folder()
        CachedEncoder(Hashing(8)).encode(["a"], "passage")
        assert entries()
    assert not inside.exists()
    assert cache_folder() == before
    assert not before.exists()


@pytest.mark.parametrize(
    "words", [[], ["burn"], ["clear", "--older-than", "soon"], ["clear", "--kind", "x"]]
)
def test_wrong_words_are_refused(words):
    """argparse says what is allowed."""
    with pytest.raises(SystemExit, match="2"):
        main(["cache", *words])


def test_the_kinds_of_the_options_are_those_of_the_cache():
    """--kind takes each kind there is; the names stand apart so that --help answers at once."""
    from bench.caches import KINDS
    from bench.commands.cache import NAMES

    assert list(NAMES) == list(KINDS)
