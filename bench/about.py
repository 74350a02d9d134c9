"""What the record says of a suite and of a system."""

from collections.abc import Iterator
from typing import Any

import numpy as np

import encoders
from bench.config import System
from bench.parts import parts
from generators import GENERATORS
from generators.context import create
from qrels.data import Suite
from reports.record import SuiteInfo, SystemInfo
from rerankers import RERANKERS
from retrievers import RETRIEVERS
from retrievers.registry import Params, Registry, parameters, parse_spec


def suite_info(suite: Suite, with_text: bool) -> SuiteInfo:
    """What the record says of a suite."""
    relevant = suite.qrels.grades >= suite.rules.relevance_level
    rows = np.repeat(np.arange(len(suite.qrels)), np.diff(suite.qrels.indptr))
    return SuiteInfo(
        name=suite.name,
        version=suite.version,
        split=suite.split,
        digest=suite.digest,
        description=suite.description,
        documents=len(suite.corpus),
        queries=len(suite.queries),
        judgements=len(suite.qrels.docs),
        without_relevant=len(suite.queries) - len(np.unique(rows[relevant])),
        judged_absent=len(suite.qrels.extra_doc_ids),
        unanswerable_skipped=suite.unanswerable_skipped,
        exclude_self=suite.rules.exclude_self,
        relevance_level=suite.rules.relevance_level,
        depth=suite.depth,
        measures=tuple(suite.measures),
        query_ids=tuple(suite.queries.query_ids),
        kinds=tuple(suite.queries.kinds),
        texts=tuple(suite.queries.texts) if with_text else None,
        task=suite.task,
    )


def system_info(system: System) -> SystemInfo:
    """What the record says of a system: every parameter, defaults included."""
    params = all_parameters(RETRIEVERS, system.retriever, system.params)
    mine = all_parameters(RERANKERS, system.reranker, system.reranker_params)
    of_generator = all_parameters(GENERATORS, system.generator, system.generator_params)
    return SystemInfo(
        name=system.name,
        retriever=system.retriever,
        params=params,
        reranker=system.reranker,
        reranker_params=mine,
        rerank_depth=system.rerank_depth if system.reranker else None,
        encoders={spec: encoders.load(spec).describe() for spec in sorted({*_encoders(system)})},
        generator=system.generator,
        generator_params=of_generator,
        context=dict(system.context),
    )


def _encoders(system: System) -> Iterator[str]:
    """Those of its parts, and that which filters the sentences of a context."""
    for part in parts(system):
        yield from encoders_of(*part)
    context = create(system.context)
    if system.generator is not None and not (context.sentences is context.threshold is None):
        yield context.encoder


def encoders_of(registry: Registry, spec: str, given: Params) -> Iterator[str]:
    """The encoder specs among the parameters of a built-in, those of fused retrievers too.

    What a plug-in calls an encoder is its own affair.
    """
    if parse_spec(spec)[0] not in registry.builtins:
        return
    params = all_parameters(registry, spec, given)
    if isinstance(params.get("encoder"), str):
        yield params["encoder"]
    for part in inner(params):
        RETRIEVERS.load(parse_spec(part)[0])
        yield from encoders_of(RETRIEVERS, part, {})


def inner(params: Params) -> list[str]:
    """The retrievers that a retriever is made of: those it fuses, or the one that it wraps."""
    fused, wrapped = params.get("retrievers"), params.get("retriever")
    found = [*fused] if isinstance(fused, list | tuple) else [wrapped]
    return [part for part in found if isinstance(part, str)]


def all_parameters(registry: Registry, spec: str | None, given: Params) -> dict[str, Any]:
    """Every constructor parameter of *spec* as used: written, given or default."""
    if spec is None:
        return {}
    name, written = parse_spec(spec)
    found = {**parameters(registry.load(name)), **written, **given}
    return {key: list(v) if isinstance(v, tuple) else v for key, v in found.items()}
