"""Rankings kept on disk: used where nothing that they depend on has changed, and never else."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from bench import stages
from bench.config import Experiment, System, parse_system
from bench.runner import Options, run_experiment
from bench.stages import FOLDER, load_stage, save_stage, stage_key
from encoders.cache import cache_folder
from qrels.data import Run
from qrels.suites import load_suite

QUALITY = Options(protocol=None, cache=True)
PLUGIN = """
import numpy as np
from pathlib import Path

class Counting:
    cacheable = True

    def __init__(self, log, shift=0):
        self.log, self.shift = log, shift

    def index(self, corpus):
        with open(self.log, "a") as file:
            file.write("index\\n")

    def search(self, queries, k):
        docs = np.tile(np.arange(k, dtype=np.int32), (len(queries), 1))
        return docs, -docs.astype(np.float32)

class Silent(Counting):
    cacheable = False

class Keeps:
    cacheable = True

    def __init__(self, log, depth=0):
        self.log = log

    def rerank(self, queries, run, corpus, k):
        with open(self.log, "a") as file:
            file.write("rerank\\n")
        return run.docs[:, :k], run.scores[:, :k]
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def dev():
    return load_suite("datasets", "dev")


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """The module `counting_plugin` in a folder of its own, on the path."""
    path = tmp_path / "plugins" / "counting_plugin.py"
    path.parent.mkdir()
    path.write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(path.parent))
    yield path
    sys.modules.pop("counting_plugin", None)


def system(tmp_path, kind="Counting", reranks=False, **params):
    log = {"log": str(tmp_path / "first.log")}
    again = {"log": str(tmp_path / "second.log")} if reranks else {}
    reranker = "counting_plugin:Keeps" if reranks else None
    return System("one", f"counting_plugin:{kind}", {**log, **params}, reranker, again)


def run(suite, systems, options=QUALITY, say=lambda _: None):
    return replace(run_experiment(Experiment([suite], systems), None, options, say), created="")


def lines(path):
    return path.read_text().split() if path.exists() else []


def test_a_second_run_makes_no_ranking(dev, tmp_path, plugin):
    """It takes all rankings from the cache, says so, and its record is the same."""
    said = []
    first = run(dev, [system(tmp_path, reranks=True)])
    second = run(dev, [system(tmp_path, reranks=True)], say=said.append)
    assert first == second
    assert first.cells[0].status == "ok"
    assert lines(tmp_path / "first.log") == ["index"]
    assert lines(tmp_path / "second.log") == ["rerank"]
    assert "      reranked from the cache" in said


def test_another_reranker_reuses_the_first_stage(dev, tmp_path, plugin):
    """What is reranked otherwise was not indexed and searched again."""
    run(dev, [system(tmp_path)])
    said = []
    record = run(dev, [system(tmp_path, reranks=True)], say=said.append)
    assert record.cells[0].first_stage
    assert lines(tmp_path / "first.log") == ["index"]
    assert "      first stage from the cache" in said


@pytest.mark.parametrize(
    "options",
    [replace(QUALITY, cache=False), replace(QUALITY, isolate=True)],
    ids=["without", "apart"],
)
def test_the_cache_changes_no_result(dev, options):
    """With and without it, in this process and apart, records are equal."""
    systems = [parse_system("bm25"), parse_system("lsa+mmr?reranker.encoder=hashing")]
    run(dev, systems)
    assert run(dev, systems) == run(dev, systems, options)


def test_a_plug_in_is_cached_only_where_it_says_so(dev, tmp_path, plugin):
    """Without `cacheable = True` its rankings are made each time."""
    for _ in range(2):
        run(dev, [system(tmp_path, "Silent")])
    assert lines(tmp_path / "first.log") == ["index", "index"]
    assert not (cache_folder() / FOLDER).exists()


def changed_code(suite, one, plugin):
    plugin.write_text(PLUGIN + "\n# changed\n")
    return suite, one


def changed_import(suite, one, plugin):
    (plugin.parent / "helper.py").write_text("FACTOR = 2\n")
    plugin.write_text("import helper\n" + PLUGIN)
    before = stage_key(suite, one, "cpu", False)
    (plugin.parent / "helper.py").write_text("FACTOR = 33\n")
    assert stage_key(suite, one, "cpu", False) != before
    return suite, one


def with_file(content):
    def change(suite, one, plugin):
        path = plugin.parent / "parameters.txt"
        path.write_text(content)
        return suite, replace(one, params={**one.params, "shift": str(path)})

    return change


def changed_queries(suite, one, plugin):
    texts = ["another", *suite.queries.texts[1:]]
    return replace(suite, queries=replace(suite.queries, texts=texts)), one


CHANGES = {
    "digest": lambda suite, one, plugin: (replace(suite, digest="ab" * 32), one),
    "queries": changed_queries,
    "depth": lambda suite, one, plugin: (replace(suite, depth=7), one),
    "own-documents": lambda suite, one, plugin: (
        replace(suite, rules=replace(suite.rules, exclude_self=True)),
        one,
    ),
    "parameter": lambda suite, one, plugin: (
        suite,
        replace(one, params={**one.params, "shift": 1}),
    ),
    "file": with_file("one"),
    "code": changed_code,
    "imported-code": changed_import,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_first_stage_depends_on_is_in_its_key(dev, tmp_path, plugin, change):
    """Data, parameters, files and code: each changes the key."""
    one = system(tmp_path)
    before = stage_key(dev, one, "cpu", False)
    assert before is not None
    after = stage_key(*change(dev, one, plugin), "cpu", False)
    assert after not in (before, None)


@pytest.mark.parametrize(
    "other",
    [
        {"reranker_params": {"encoder": "hashing", "diversity": 0.5}},
        {"rerank_depth": 3},
        {"params": {"k1": 1.0}},
    ],
    ids=["parameter", "depth", "first-stage"],
)
def test_what_a_reranking_depends_on_is_in_its_key(dev, other):
    """Its own parameters and depth, and its first stage."""
    one = System("one", "bm25", {}, "mmr", {"encoder": "hashing"})
    assert stage_key(dev, one, "cpu", True) != stage_key(dev, replace(one, **other), "cpu", True)
    same = stage_key(dev, one, "cpu", False) == stage_key(dev, replace(one, **other), "cpu", False)
    assert same == ("params" not in other)


def test_device_and_encoder_are_in_the_key(dev):
    """A first stage on another device, or with another encoder, is another."""
    one, other = (parse_system(f"dense?encoder=hashing?seed={seed}") for seed in (1, 2))
    keys = {stage_key(dev, one, "cpu", False), stage_key(dev, one, "cuda", False)}
    assert len({*keys, stage_key(dev, other, "cpu", False)}) == 3


UNCERTAIN = {
    "digest-not-of-content": (lambda suite: replace(suite, digest="mine"), "bm25"),
    "model-that-may-change": (lambda suite: suite, "bm25+cross-encoder?reranker.model=a/b"),
    "fused-plug-in": (
        lambda suite: suite,
        'hybrid?retrievers=["bm25","counting_plugin:Silent?log=x"]',
    ),
}


@pytest.mark.parametrize(("make", "spec"), UNCERTAIN.values(), ids=UNCERTAIN)
def test_where_not_all_can_be_told_nothing_is_kept(dev, plugin, make, spec):
    """There is no key."""
    one = parse_system(spec)
    assert stage_key(make(dev), one, "cpu", one.reranker is not None) is None


SHAPE = (2, 3)
KEY = "0123456789abcdef" * 2


def rankings():
    return Run(np.arange(6, dtype=np.int32).reshape(SHAPE), np.ones(SHAPE, np.float32))


def flipped(name):
    def damage(entry):
        data = (entry / name).read_bytes()
        (entry / name).write_bytes(data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])

    return damage


def renamed(entry):
    about = json.loads((entry / "about.json").read_text())
    (entry / "about.json").write_text(json.dumps({**about, "key": "f" * 32}))


DAMAGES = {
    "docs": flipped("docs.npy"),
    "scores": flipped("scores.npy"),
    "about": lambda entry: (entry / "about.json").write_text("{"),
    "another-key": renamed,
    "no-scores": lambda entry: (entry / "scores.npy").unlink(),
    "cut": lambda entry: (entry / "docs.npy").write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_an_entry_that_does_not_check_out_is_not_read(damage):
    """And the next one written takes its place."""
    save_stage(KEY, rankings())
    damage(cache_folder() / FOLDER / KEY)
    assert load_stage(KEY, SHAPE) is None
    save_stage(KEY, rankings())
    found = load_stage(KEY, SHAPE)
    assert found is not None
    assert np.array_equal(found.docs, rankings().docs)
    assert np.array_equal(found.scores, rankings().scores)


def test_an_entry_of_another_shape_is_not_read():
    """A whole entry is taken only for as many queries and as deep as it is."""
    save_stage(KEY, rankings())
    assert load_stage(KEY, (3, 2)) is None


def test_a_cache_that_cannot_be_written_is_done_without(dev, tmp_path, monkeypatch):
    """The run finishes and says so."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "file"))
    said = []
    record = run(dev, [parse_system("bm25")], say=said.append)
    assert record.cells[0].status == "ok"
    assert any("rankings are not cached" in line for line in said)


def test_an_import_beside_a_plug_in_is_followed_to_any_depth(tmp_path):
    """Modules and packages in its folder count, those of elsewhere do not."""
    (tmp_path / "a.py").write_text("import b, numpy\ndef later():\n    from pack import x\n")
    (tmp_path / "b.py").write_text("from c import y\n")
    (tmp_path / "c.py").write_text("y = 1\n")
    (tmp_path / "unused.py").write_text("")
    (tmp_path / "pack").mkdir()
    for name in ("__init__", "x"):
        (tmp_path / "pack" / f"{name}.py").write_text("")
    names = {str(path.relative_to(tmp_path)) for path in stages.code_files(tmp_path / "a.py")}
    assert names == {"a.py", "b.py", "c.py", "pack/__init__.py", "pack/x.py"}
