"""What is measured of a suite: the rankings of all systems, the answers of those that give some."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.config import RERANK_DEPTH, System, ranking_of
from generators import GENERATORS
from qrels.answers import answers_of
from qrels.data import ANSWERS, Suite
from qrels.errors import UsageError
from qrels.suites import load_suite
from retrievers.registry import parse_spec

Task = tuple[Suite, list[System]]
"""A suite, or the answers to its questions, and the systems to be measured on it."""


def tasks(suite: Suite, systems: Sequence[System], given: bool) -> Iterator[Task]:
    """The rankings of all systems, and where some have a generator also their answers.

    Beside these are what they are held against. A suite of answers has answers alone. given: the
    suite is the caller's own, not what a name stands for.
    """
    if suite.task == "retrieval":
        yield suite, distinct(systems)
    answering = [system for system in systems if system.generator is not None]
    if answering:
        yield answers_suite(suite, given), [*answering, *bounds(answering)]
    elif suite.task == "answers":
        raise UsageError(f"{suite.name} ({suite.split}): none of the systems has a generator")


def distinct(systems: Sequence[System]) -> list[System]:
    """The systems without their generators, none twice under two names because of these."""
    found: dict[str, System] = {}
    for system in sorted(systems, key=lambda system: system.generator is not None):
        bare = ranking_of(system)
        known = [replace(one, name=bare.name) for one in found.values()]
        if system.generator is None or bare not in known:
            found[system.name] = bare
    return [found[system.name] for system in systems if system.name in found]


def answers_suite(suite: Suite, given: bool) -> Suite:
    """The queries of *suite* that have a gold answer or none, those left out of rankings too."""
    if suite.task == "answers":
        return suite
    if given or not suite.unanswerable_skipped:
        return answers_of(suite)
    name = suite.folder if suite.folder is not None else suite.name
    return replace(load_suite(name, suite.split + ANSWERS), corpus=suite.corpus)


def bounds(systems: Sequence[System]) -> list[System]:
    """For each generator without passages, or with any where it needs some, and with gold ones.

    A system that is such a bound itself has none.
    """
    found: dict[str, System] = {}
    for system in systems:
        if system.retriever in PASSAGES:
            continue
        assert system.generator is not None
        kind = GENERATORS.load(parse_spec(system.generator)[0])
        floor = "random" if getattr(kind, "needs_passages", False) else "none"
        own = [f"generator.{key}={json.dumps(v)}" for key, v in system.generator_params.items()]
        own += [f"context.{key}={json.dumps(v)}" for key, v in system.context.items()]
        spelled = ranking_of(system).name != system.name
        for retriever in (floor, "gold"):
            spec = "?".join(filter(None, (f"{retriever}+{system.generator}", "&".join(own))))
            bound = replace(
                system, name=spec if spelled else f"{system.name}, {PASSAGES[retriever]}",
                retriever=retriever, params={}, reranker=None, reranker_params={},
                rerank_depth=RERANK_DEPTH,
            )  # fmt: skip
            found.setdefault(spec, bound)
    taken = {system.name for system in systems}
    return [bound for spec, bound in found.items() if not {spec, bound.name} & taken]


PASSAGES = {"none": "no passages", "random": "random passages", "gold": "gold passages"}
"""How the bounds of a system with a name of its own are called."""
