"""Search by Milvus: a server, or Milvus Lite, which is embedded and keeps files in a folder."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qrels.errors import UsageError
from retrievers.store_filters import Condition, Leaf, stored_columns
from retrievers.stores import Batch, StoreRetriever, embedded_folder, package
from retrievers.vectors import Floats

METRICS = {"cosine": "IP", "dot": "IP", "l2": "L2"}

INDEXES = {"exact": "FLAT", "hnsw": "HNSW", "ivf": "IVF_FLAT"}
"""By kind, the index's name in Milvus."""

QUIET = {"grpc.keepalive_time_ms": 3_600_000}
"""Lite's server takes the client's usual pings, six a minute, for an attack and hangs up."""

MOST = 16384
"""Documents that a server returns for a query, at most."""

LONGEST = 65535
"""Bytes of a text, at most."""

LISTED = 4096
"""Texts in a list, at most."""


class Opened(NamedTuple):
    """A MilvusClient, and the file of Milvus Lite, None where it is of a server."""

    milvus: Any
    path: str | None = None


class Milvus(StoreRetriever):
    """Nearest vectors of the joined text, found by Milvus.

    kind: exact, hnsw or ivf. url: http(s)://host:port, or a folder for Milvus Lite, by default
    one in the cache folder. build_params: such as {"M": 16, "efConstruction": 200} or
    {"nlist": 128}. search_params: such as {"ef": 64} or {"nprobe": 8}. All else as in
    `retrievers.stores`. The token is taken from MILVUS_TOKEN.

    Lite keeps each collection in a file of its own, which one process at a time can open.
    """

    NAME = "milvus"
    VARIABLE = "MILVUS_URL"
    SECRETS = "MILVUS_TOKEN"
    INDEXES = ("hnsw", "ivf")

    def _open(self) -> Any:
        made = package("pymilvus", self.NAME).MilvusClient
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # what it logs it also raises
        if (path := self._path()) is None:
            return Opened(made(self._address(None), token=os.environ.get(self.SECRETS, "")))
        package("milvus_lite", self.NAME)
        path.parent.mkdir(parents=True, exist_ok=True)
        return Opened(made(str(path), grpc_options=QUIET), str(path))

    def _path(self) -> Path | None:
        """Lite's file; None for a server."""
        address = self._address("")
        if "://" in address:
            return None
        folder = Path(address) if address else embedded_folder(self.NAME)
        return folder / f"{self._collection}.db"

    def _shut(self, client: Any) -> None:
        client.milvus.close()
        if client.path is not None:
            package("milvus_lite", self.NAME).server_manager_instance.release_server(client.path)

    def _errors(self) -> tuple[type[Exception], ...]:
        return (package("pymilvus", self.NAME).MilvusException,)

    def _holds(self, client: Any) -> bool:
        if not client.milvus.has_collection(self._collection):
            return False
        client.milvus.load_collection(self._collection)
        found = client.milvus.query(self._collection, filter="", output_fields=["count(*)"])
        size: int = found[0]["count(*)"]
        return size == len(self._tie_order)

    def _fill(self, client: Any, batches: Iterator[Batch]) -> None:
        name = self._collection
        if client.milvus.has_collection(name):
            client.milvus.drop_collection(name)
        index = client.milvus.prepare_index_params()
        index.add_index(
            "vector",
            index_type=INDEXES[self.kind],
            metric_type=METRICS[self.similarity],
            params={"params": dict(self.build_params or {})},  # as Lite reads them too
        )
        client.milvus.create_collection(
            name, schema=self._schema(client), index_params=index, consistency_level="Strong"
        )
        client.milvus.release_collection(name)  # so that indexing waits for `load_collection`
        for batch in batches:
            names = ["position", "vector", *(column.name for column in batch.columns)]
            rows = zip(batch.positions, batch.vectors,
                       *(column.values for column in batch.columns), strict=True)  # fmt: skip
            client.milvus.upsert(name, [dict(zip(names, row, strict=True)) for row in rows])
        client.milvus.flush(name)
        client.milvus.load_collection(name)

    def _schema(self, client: Any) -> Any:
        types = package("pymilvus", self.NAME).DataType
        text = {"max_length": LONGEST}
        holding: Mapping[str, Mapping[str, Any]] = {
            "number": {"datatype": types.DOUBLE, "nullable": True},
            "text": {"datatype": types.VARCHAR, "nullable": True, **text},
            "texts": {"datatype": types.ARRAY, "element_type": types.VARCHAR,
                      "max_capacity": LISTED, **text},
        }  # fmt: skip
        schema = client.milvus.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("position", types.INT64, is_primary=True)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=self._arrays["vectors"].shape[1])
        for column in stored_columns(self._metadata):
            schema.add_field(column.name, **holding[column.holding])
        return schema

    def _nearest(
        self, client: Any, queries: Floats, k: int, conditions: Sequence[Condition]
    ) -> list[Sequence[int]]:
        if k > MOST and client.path is None:
            raise UsageError(f"milvus returns {MOST} documents a query at most; needed are {k}")
        params = dict(self.search_params or {})
        if self.kind == "hnsw":
            params["ef"] = max(params.get("ef", 0), k)  # it takes none below k
        found = client.milvus.search(
            self._collection,
            data=list(queries),
            limit=k,
            filter=" and ".join(map(self._condition, conditions)),
            output_fields=["position"],
            search_params={"params": params},
        )
        return [[hit["position"] for hit in hits] for hits in found]

    def _condition(self, condition: Condition) -> str:
        """In Milvus' own language; a missing value does not meet its `not`, so is asked for too."""
        text = "(" + " or ".join(map(self._leaf, condition.leaves)) + ")"
        if not condition.negated:
            return text
        first = condition.leaves[0]
        missing = "" if first.test == "holds" else f" or {first.name} is null"
        return f"((not {text}){missing})"

    def _leaf(self, leaf: Leaf) -> str:
        """A part with signs that `like` takes for others becomes the list of texts that hold it."""
        if leaf.test != "part" or not SPECIAL & set(leaf.operand):
            return WRITTEN[leaf.test](leaf.name, leaf.operand)
        columns = stored_columns(self._metadata)
        values = next(column.values for column in columns if column.name == leaf.name)
        holding = sorted({text for text in values if text is not None and leaf.operand in text})
        return f"{leaf.name} in [{', '.join(map(_quoted, holding))}]"


def _number(name: str, tests: Sequence[tuple[str, float]]) -> str:
    signs = {"=": "=="}
    return "(" + " and ".join(f"{name} {signs.get(sign, sign)} {at!r}" for sign, at in tests) + ")"


def _quoted(text: str) -> str:
    for sign, written in ESCAPES.items():
        text = text.replace(sign, written)
    return f'"{text}"'


SPECIAL = frozenset("%_\\")
"""Lite and servers differ in how `like` is told to take them as they are."""

ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}

WRITTEN: Mapping[str, Callable[[str, Any], str]] = {
    "number": _number,
    "equal": lambda name, text: f"{name} == {_quoted(text)}",
    "part": lambda name, text: f"{name} like {_quoted(f'%{text}%')}",
    "holds": lambda name, text: f"array_contains({name}, {_quoted(text)})",
}
