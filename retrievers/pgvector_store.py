"""Search by PostgreSQL with the extension pgvector."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retrievers.store_filters import Condition, Leaf, as_sql
from retrievers.stores import Batch, StoreRetriever, package
from retrievers.vectors import Floats

TYPES = {"number": "float8", "text": "text", "texts": "text[]"}

OPERATORS = {"cosine": ("<#>", "vector_ip_ops"), "dot": ("<#>", "vector_ip_ops"),
             "l2": ("<->", "vector_l2_ops")}  # fmt: skip
"""By similarity: the operator, and the operators that an index is made for."""

DEPTHS = {"hnsw": ("ef_search", 1000)}
"""The setting that also limits how many documents are found, and its largest value."""

LEAVES: Mapping[str, str] = {
    "equal": "{} = %s", "part": "strpos({}, %s) > 0", "holds": "%s = ANY({})",
}  # fmt: skip


class PGVector(StoreRetriever):
    """Nearest vectors of the joined text, found by PostgreSQL with pgvector.

    kind: exact, hnsw or ivfflat; with the latter two the planner is not let scan the table. url:
    postgresql://user@host/database. build_params: of CREATE INDEX, such as {"m": 16} or
    {"lists": 100}. search_params: settings without their prefix, such as {"ef_search": 100} or
    {"probes": 10}. All else as in `retrievers.stores`. A password is taken from PGPASSWORD or
    libpq's password file.
    """

    NAME = "pgvector"
    VARIABLE = "PGVECTOR_URL"
    SECRETS = "PGPASSWORD"
    INDEXES = ("hnsw", "ivfflat")

    def _open(self) -> Any:
        psycopg, adapter = package("psycopg", self.NAME), package("pgvector.psycopg", self.NAME)
        client = psycopg.connect(self._address(None), autocommit=True)
        try:
            found = client.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
            if not found.fetchone():
                client.execute("CREATE EXTENSION IF NOT EXISTS vector")
            adapter.register_vector(client)
            if self.kind != "exact":
                self._set(client)
        except BaseException:
            client.close()
            raise
        return client

    def _set(self, client: Any) -> None:
        """Search by the index, and further along it where a filter leaves too few."""
        version = client.execute(
            "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
        ).fetchone()[0]
        client.execute("SET enable_seqscan = off")
        client.execute("SET enable_sort = off")
        if tuple(map(int, version.split(".")[:2])) >= (0, 8):
            client.execute(f"SET {self.kind}.iterative_scan = relaxed_order")
        for name, value in (self.search_params or {}).items():
            client.execute("SELECT set_config(%s, %s, false)", (f"{self.kind}.{name}", str(value)))

    def _shut(self, client: Any) -> None:
        client.close()

    def _errors(self) -> tuple[type[Exception], ...]:
        return (package("psycopg", self.NAME).Error,)

    def _holds(self, client: Any) -> bool:
        return (
            client.execute("SELECT to_regclass(%s)", (self._collection,)).fetchone()[0] is not None
        )

    def _fill(self, client: Any, batches: Iterator[Batch]) -> None:
        """All in one transaction: the table is there whole, or not at all."""
        sql = package("psycopg.sql", self.NAME)
        table, columns = sql.Identifier(self._collection), None
        with client.transaction():
            for batch in batches:
                if columns is None:
                    columns = {column.name: TYPES[column.holding] for column in batch.columns}
                    dimension = f"vector({batch.vectors.shape[1]})"
                    kept = {"position": "int4 PRIMARY KEY", "vector": dimension, **columns}
                    client.execute(sql.SQL("CREATE TABLE {} ({})").format(
                        table, sql.SQL(", ".join(f"{name} {kind}" for name, kind in kept.items()))
                    ))  # fmt: skip
                rows = zip(batch.positions, batch.vectors,
                           *(column.values for column in batch.columns), strict=True)  # fmt: skip
                with client.cursor().copy(
                    sql.SQL("COPY {} FROM STDIN WITH (FORMAT BINARY)").format(table)
                ) as copy:
                    copy.set_types(["int4", "vector", *columns.values()])
                    for row in rows:
                        copy.write_row(row)
            if self.kind != "exact":
                self._build(client, sql, table)
        client.execute(sql.SQL("ANALYZE {}").format(table))

    def _build(self, client: Any, sql: Any, table: Any) -> None:
        given = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))
                 for name, value in (self.build_params or {}).items()]  # fmt: skip
        options = sql.SQL(" WITH ({})").format(sql.SQL(", ").join(given)) if given else sql.SQL("")
        client.execute(
            sql.SQL("CREATE INDEX ON {} USING {} (vector {}){}").format(
                table, sql.SQL(self.kind), sql.SQL(OPERATORS[self.similarity][1]), options
            )
        )

    def _nearest(
        self, client: Any, queries: Floats, k: int, conditions: Sequence[Condition]
    ) -> list[Sequence[int]]:
        values: list[Any] = []
        where = as_sql(conditions, lambda leaf: _leaf(leaf, values))
        text = (
            f"SELECT position, vector {OPERATORS[self.similarity][0]} %b AS distance "  # noqa: S608
            f"FROM {self._collection}" + f" WHERE {where}" * bool(where)
            + " ORDER BY distance LIMIT %s"
        )  # fmt: skip
        self._deepen(client, k)
        cursor = client.cursor(binary=True)
        return [
            [row[0] for row in cursor.execute(text, (query, *values, k)).fetchall()]
            for query in queries
        ]

    def _deepen(self, client: Any, k: int) -> None:
        """Let an index whose search is too shallow for *k* documents go as deep."""
        if self.kind in DEPTHS:
            name, most = DEPTHS[self.kind]
            least = int((self.search_params or {}).get(name, 40))
            wanted = str(min(max(least, k), most))
            client.execute("SELECT set_config(%s, %s, false)", (f"{self.kind}.{name}", wanted))


def _leaf(leaf: Leaf, values: list[Any]) -> str:
    """The test with placeholders, whose values join *values*."""
    if leaf.test == "number":
        values += [number for _, number in leaf.operand]
        return "(" + " AND ".join(f"{leaf.name} {sign} %s" for sign, _ in leaf.operand) + ")"
    values.append(leaf.operand)
    return LEAVES[leaf.test].format(leaf.name)
