"""The adapter that docs/vector-stores.md shows is a retriever."""

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from bench.config import System
from bench.system import index, make, retrieve
from qrels.data import Filter
from retrievers.dense import Dense

PAGE = Path(__file__).parents[2] / "docs" / "vector-stores.md"
LINES = 30


class Collection:
    """As much of a collection, of its batch and of its answers, as the adapter uses."""

    def __init__(self):
        self.rows = []
        self.batch = SimpleNamespace(dynamic=lambda: self)
        self.query = SimpleNamespace(near_vector=self.near_vector)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def add_object(self, properties, vector):
        self.rows.append((float(properties["position"]), np.array(vector)))

    def near_vector(self, vector, *, limit, return_metadata):
        assert return_metadata == ["distance"]
        near = [(1 - float(row @ vector), position) for position, row in self.rows]
        return SimpleNamespace(
            objects=[
                SimpleNamespace(
                    properties={"position": position}, metadata=SimpleNamespace(distance=distance)
                )
                for distance, position in sorted(near)[:limit]
            ]
        )


@pytest.fixture
def adapter(monkeypatch, tmp_path):
    """The page's code as the module `ours`, over a stand-in for Weaviate's client."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    kept = {}
    collections = SimpleNamespace(
        create=lambda name, vector_config: kept.setdefault(name, Collection()),
        delete=lambda name: kept.pop(name, None),
        get=kept.get,
    )
    client = Collection()  # for its with
    client.collections = collections
    modules = {name: ModuleType(name) for name in (
        "weaviate", "weaviate.classes", "weaviate.classes.config", "ours"
    )}  # fmt: skip
    modules["weaviate"].connect_to_local = lambda: client
    modules["weaviate.classes.config"].Configure = SimpleNamespace(
        Vectors=SimpleNamespace(self_provided=lambda: None)
    )
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    exec(compile(code, str(PAGE), "exec"), vars(modules["ours"]))
    return code


def test_the_adapter_is_as_short_as_the_page_says(adapter):
    """Thirty lines of code, imports and empty lines apart."""
    lines = [line for line in adapter.splitlines() if line.strip()]
    assert len([line for line in lines if not line.startswith(("import", "from"))]) <= LINES


def test_the_adapter_ranks_and_is_filtered(adapter, toy_corpus):
    """As a system of the harness it finds what `dense` finds, under a filter too."""
    params = {"encoder": "hashing"}
    built = make(System("ours", "ours:Weaviate", params), toy_corpus)
    index(built)
    dense = Dense("hashing")
    dense.index(toy_corpus)
    for where in ([], [Filter("downloads", ">=", 500)]):
        found = retrieve(built, ["a cat", "planet"], 4, where)
        expected = dense.search(["a cat", "planet"], 4, where)
        assert np.array_equal(found.docs, expected.docs)
