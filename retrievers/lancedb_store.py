"""Search by LanceDB: embedded, its tables are files in a folder."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qrels.errors import unknown
from retrievers.store_filters import Condition, Leaf, as_sql, stored_columns
from retrievers.stores import Batch, StoreRetriever, embedded_folder, package
from retrievers.vectors import Floats

METRICS = {"cosine": "dot", "dot": "dot", "l2": "l2"}

INDEXES = {"ivf": "IvfFlat", "ivfpq": "IvfPq", "hnsw": "IvfHnswSq"}
"""By kind, the class of its settings in lancedb.index."""

SEARCH = ("ef", "nprobes", "refine_factor")

LEAVES: Mapping[str, str] = {
    "equal": "{} = {}", "part": "contains({}, {})", "holds": "array_has({}, {})",
}  # fmt: skip


class LanceDB(StoreRetriever):
    """Nearest vectors of the joined text, found by LanceDB.

    kind: exact, ivf, ivfpq or hnsw. url: a folder, by default one in the cache folder; or what
    else lancedb.connect takes. build_params: of lancedb.index's IvfFlat, IvfPq or IvfHnswSq,
    such as {"num_partitions": 64}. search_params: ef, nprobes, refine_factor. All else as in
    `retrievers.stores`. The key of a remote database is taken from LANCEDB_API_KEY.
    """

    NAME = "lancedb"
    VARIABLE = "LANCEDB_URL"
    SECRETS = "LANCEDB_API_KEY"
    INDEXES = tuple(INDEXES)

    def _open(self) -> Any:
        default = None if self.url else str(embedded_folder(self.NAME))
        return package("lancedb", self.NAME).connect(self._address(default))

    def _shut(self, client: Any) -> None:
        """Nothing to let go: it holds files open only while it reads them."""

    def _errors(self) -> tuple[type[Exception], ...]:
        return (RuntimeError, ValueError, TypeError, OSError)

    def _table(self, client: Any) -> Any:
        """The table, None where there is none."""
        try:
            return client.open_table(self._collection)
        except (ValueError, FileNotFoundError):
            return None

    def _holds(self, client: Any) -> bool:
        table = self._table(client)
        return table is not None and (self.kind == "exact" or bool(table.list_indices()))

    def _fill(self, client: Any, batches: Iterator[Batch]) -> None:
        """The table appears whole; where its index is missing, all is made again."""
        arrow, dimension = package("pyarrow", self.NAME), self._arrays["vectors"].shape[1]
        types = {"number": arrow.float64(), "text": arrow.string(),
                 "texts": arrow.list_(arrow.string())}  # fmt: skip
        columns = stored_columns(self._metadata)
        schema = arrow.schema({
            "position": arrow.int32(),
            "vector": arrow.list_(arrow.float32(), dimension),
            **{column.name: types[column.holding] for column in columns},
        })  # fmt: skip
        records = (_record(arrow, schema, batch) for batch in batches)
        client.drop_table(self._collection, ignore_missing=True)
        table = client.create_table(self._collection, records, schema=schema)
        if self.kind != "exact":
            made = getattr(package("lancedb.index", self.NAME), INDEXES[self.kind])
            metric = METRICS[self.similarity]
            table.create_index(
                "vector", config=made(distance_type=metric, **(self.build_params or {}))
            )

    def _nearest(
        self, client: Any, queries: Floats, k: int, conditions: Sequence[Condition]
    ) -> list[Sequence[int]]:
        search = self._table(client).search(list(queries))
        search = search.distance_type(METRICS[self.similarity]).limit(k)
        search = search.select(["position", "_distance"])
        if conditions:
            search = search.where(as_sql(conditions, _leaf), prefilter=True)
        params = dict(self.search_params or {})
        if self.kind == "hnsw":
            params["ef"] = max(params.get("ef", 0), k)  # it takes none below k
        for name, value in params.items():
            if name not in SEARCH:
                raise unknown("search parameter of lancedb", name, SEARCH)
            search = getattr(search, name)(value)
        answer = search.to_arrow()
        docs = answer["position"].to_numpy()
        if len(queries) == 1:
            return [docs]
        asked = answer["query_index"].to_numpy()
        return [docs[asked == row] for row in range(len(queries))]


def _record(arrow: Any, schema: Any, batch: Batch) -> Any:  # pyarrow.RecordBatch
    numbers = arrow.array(batch.vectors.ravel())
    vectors = arrow.FixedSizeListArray.from_arrays(numbers, batch.vectors.shape[1])
    fields = list(schema)[2:]
    values = [arrow.array(column.values, field.type)
              for column, field in zip(batch.columns, fields, strict=True)]  # fmt: skip
    positions = arrow.array(batch.positions, arrow.int32())
    return arrow.record_batch([positions, vectors, *values], schema=schema)


def _leaf(leaf: Leaf) -> str:
    if leaf.test == "number":
        return "(" + " AND ".join(f"{leaf.name} {sign} {at!r}" for sign, at in leaf.operand) + ")"
    written = "'" + leaf.operand.replace("'", "''") + "'"
    return LEAVES[leaf.test].format(leaf.name, written)
