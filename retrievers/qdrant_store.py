"""Search by Qdrant: a server, or the client's own local mode.

Local mode compares every vector, whatever the kind, and is meant for some ten thousand documents.
Nothing is kept unless url names a folder; there the client keeps points as pickles, so name only
folders that you trust.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retrievers.store_filters import Condition, Leaf
from retrievers.stores import Batch, StoreRetriever, package
from retrievers.vectors import Floats

WAIT = 0.2
"""Seconds between two looks at whether a server has finished its graph."""

MEMORY = ":memory:"

BOUNDS = {"=": ("gte", "lte"), "<": ("lt",), "<=": ("lte",), ">": ("gt",), ">=": ("gte",)}


class Qdrant(StoreRetriever):
    """Nearest vectors of the joined text, found by Qdrant.

    kind: exact or hnsw. url: http(s)://host:port, a folder, or :memory:, the default.
    build_params: of qdrant_client's HnswConfigDiff, such as {"m": 32, "ef_construct": 200}.
    search_params: of its SearchParams, such as {"hnsw_ef": 128}. All else as in
    `retrievers.stores`. The key is taken from QDRANT_API_KEY.
    """

    NAME = "qdrant"
    VARIABLE = "QDRANT_URL"
    SECRETS = "QDRANT_API_KEY"
    INDEXES = ("hnsw",)

    def _open(self) -> Any:
        address, made = self._address(MEMORY), package("qdrant_client", self.NAME).QdrantClient
        if address == MEMORY:
            return made(address)
        if "://" not in address:
            return made(path=address)
        key = os.environ.get(self.SECRETS) or None
        return made(url=address, api_key=key, check_compatibility=False)  # else it only warns

    def _shut(self, client: Any) -> None:
        client.close()

    def _errors(self) -> tuple[type[Exception], ...]:
        raised = package("qdrant_client.http.exceptions", self.NAME)
        return (raised.ApiException, ValueError, RuntimeError)  # the latter two in local mode

    def _holds(self, client: Any) -> bool:
        if not client.collection_exists(self._collection):
            return False
        size: int = client.count(self._collection, exact=True).count
        return size == len(self._tie_order)

    def _fill(self, client: Any, batches: Iterator[Batch]) -> None:
        models, name = package("qdrant_client.models", self.NAME), self._collection
        distance = models.Distance.EUCLID if self.similarity == "l2" else models.Distance.DOT
        graph = {"m": 0} if self.kind == "exact" else dict(self.build_params or {})
        if client.collection_exists(name):
            client.delete_collection(name)
        client.create_collection(
            name,
            models.VectorParams(
                size=self._arrays["vectors"].shape[1],
                distance=distance,
                hnsw_config=models.HnswConfigDiff(**graph),
            ),
        )
        for batch in batches:
            points = models.Batch(
                ids=batch.positions, vectors=batch.vectors.tolist(), payloads=_payloads(batch)
            )
            client.upsert(name, points, wait=True)
        while client.get_collection(name).status == models.CollectionStatus.YELLOW:
            time.sleep(WAIT)

    def _nearest(
        self, client: Any, queries: Floats, k: int, conditions: Sequence[Condition]
    ) -> list[Sequence[int]]:
        models = package("qdrant_client.models", self.NAME)
        params = None
        if "://" in self._address(MEMORY):  # local mode has none
            chosen = self.search_params or {}
            params = models.SearchParams(**{"exact": self.kind == "exact", **chosen})
        where = _filter(models, conditions)
        requests = [
            models.QueryRequest(query=query, limit=k, filter=where, params=params)
            for query in queries.tolist()
        ]
        answers = client.query_batch_points(self._collection, requests)
        return [[point.id for point in answer.points] for answer in answers]


def _payloads(batch: Batch) -> list[dict[str, Any]]:
    """What is known of each document; a missing value is left out."""
    return [
        {column.name: column.values[row] for column in batch.columns
         if column.values[row] is not None}
        for row in range(len(batch.positions))
    ]  # fmt: skip


def _filter(models: Any, conditions: Sequence[Condition]) -> Any:
    """The conditions as Qdrant's Filter, None where there is none."""
    if not conditions:
        return None
    parts = []
    for condition in conditions:
        leaves = [_leaf(models, leaf) for leaf in condition.leaves]
        side = "must_not" if condition.negated else "should"
        parts.append(models.Filter(**{side: leaves}))
    return models.Filter(must=parts)


def _leaf(models: Any, leaf: Leaf) -> Any:
    if leaf.test == "number":
        bounds: Mapping[str, float] = {
            name: number for sign, number in leaf.operand for name in BOUNDS[sign]
        }
        return models.FieldCondition(key=leaf.name, range=models.Range(**bounds))
    match = (
        models.MatchSubstring(substring=leaf.operand)
        if leaf.test == "part"
        else models.MatchValue(value=leaf.operand)
    )
    return models.FieldCondition(key=leaf.name, match=match)
