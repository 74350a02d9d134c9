"""Rerankers by name. To add one: a module here and a line in the table below."""

from collections.abc import Mapping

from rerankers.base import Reranker
from retrievers.registry import Params, Registry, parse_spec

BUILTINS: Mapping[str, str] = {
    "cross-encoder": "rerankers.cross_encoder:CrossEncoder",
    "late-interaction": "rerankers.late_interaction:LateInteraction",
    "llm-yes-no": "rerankers.llm:LLMYesNo",
    "metadata-prior": "rerankers.metadata:MetadataPrior",
    "mmr": "rerankers.mmr:MMR",
}

RERANKERS = Registry("reranker", BUILTINS, "bench.rerankers")


def create(spec: str, params: Params | None = None) -> Reranker:
    """A reranker by name, entry point, `module:Class` or `name?key=value&...`."""
    name, written = parse_spec(spec)
    made: Reranker = RERANKERS.create(name, {**written, **(params or {})})
    return made
