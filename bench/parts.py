"""The parts that a system is made of, each with the registry that knows it."""

from collections.abc import Iterator
from typing import NamedTuple

from bench.config import System
from generators import GENERATORS
from rerankers import RERANKERS
from retrievers import RETRIEVERS
from retrievers.registry import Params, Registry


class Part(NamedTuple):
    """A retriever, reranker or generator: who knows it, its spec and the parameters given."""

    registry: Registry
    spec: str
    params: Params


def parts(system: System) -> Iterator[Part]:
    """Those that the system has, in the order in which they work."""
    yield Part(RETRIEVERS, system.retriever, system.params)
    if system.reranker is not None:
        yield Part(RERANKERS, system.reranker, system.reranker_params)
    if system.generator is not None:
        yield Part(GENERATORS, system.generator, system.generator_params)
