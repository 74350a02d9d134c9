"""Retrievers by name. To add one: a module here and a line in the table below."""

from collections.abc import Mapping

from retrievers.base import Retriever
from retrievers.registry import Params, Registry, parse_spec

BUILTINS: Mapping[str, str] = {
    "bm25": "retrievers.bm25:BM25",
    "bm25f": "retrievers.bm25f:BM25F",
    "bm25-okapi": "retrievers.bm25_okapi:BM25Okapi",
    "chunked": "retrievers.chunked:Chunked",
    "dense": "retrievers.dense:Dense",
    "faiss": "retrievers.faiss_index:Faiss",
    "fielded": "retrievers.fielded:Fielded",
    "filtered": "retrievers.filtered:Filtered",
    "hybrid": "retrievers.fusion:Hybrid",
    "lancedb": "retrievers.lancedb_store:LanceDB",
    "lsa": "retrievers.lsa:LSA",
    "milvus": "retrievers.milvus_store:Milvus",
    "pgvector": "retrievers.pgvector_store:PGVector",
    "precomputed": "retrievers.precomputed:Precomputed",
    "qdrant": "retrievers.qdrant_store:Qdrant",
}

BOUNDS: Mapping[str, str] = {
    "gold": "retrievers.bounds:Gold",
    "none": "retrievers.bounds:Nothing",
    "random": "retrievers.bounds:Random",
}
"""No candidates, but what a system is held against."""

RETRIEVERS = Registry("retriever", {**BUILTINS, **BOUNDS}, "bench.retrievers")


def create(spec: str, params: Params | None = None) -> Retriever:
    """A retriever by name, entry point, `module:Class` or `name?key=value&...`."""
    name, written = parse_spec(spec)
    made: Retriever = RETRIEVERS.create(name, {**written, **(params or {})})
    return made
