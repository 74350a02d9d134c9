"""What systems of one suite have in common, done once: index, first stage, prepared reranker."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.config import System
from bench.system import Built, close, make, own_documents, rerank, retrieve
from qrels.data import Run, Suite
from rerankers.base import Prepares
from retrievers.base import Closes, Reads


class Shared:
    """The stages of systems on one suite, each kept only while a later system needs it.

    Two systems share a first stage where retriever and parameters are the same, a reranker
    likewise, and what was read of the corpus where the retriever says that it is the same.
    """

    def __init__(self, suite: Suite, systems: Sequence[System]) -> None:
        self.suite = suite
        self._left: Counter[str] = Counter()
        self._kept: dict[str, Any] = {}  # a first stage's run, a reranker, or what was read
        for system in systems:
            self._left.update(_keys(system))

    def stages(self, system: System) -> tuple[Run, Run]:
        """The checked rankings of the first stage, and after reranking, (n_queries, depth)."""
        keys = _keys(system)
        built = make(system, self.suite.corpus)
        try:
            first = self._kept.get(keys[0])
            if first is None:
                first = self._kept[keys[0]] = self._first(built)
            if built.reranker is None:
                return first, first
            ready = self._kept.get(keys[1])
            if ready is None:
                if isinstance(built.reranker, Prepares):
                    built.reranker.prepare(self.suite.corpus)
                ready = self._kept[keys[1]] = built.reranker
            return first, rerank(built._replace(reranker=ready), self.suite.queries.texts, first)
        finally:
            close(built._replace(reranker=None))
            self._done(keys)

    def _first(self, built: Built) -> Run:
        """The retriever indexed, from what was read before where it can, and asked."""
        if isinstance(built.retriever, Reads):
            key = f"read {built.retriever.reading()}"
            if key not in self._kept:
                self._kept[key] = built.retriever.read(self.suite.corpus)
            built.retriever.index_read(self._kept[key], self.suite.corpus)
        else:
            built.retriever.index(self.suite.corpus)
        exclude = own_documents(self.suite) if self.suite.rules.exclude_self else None
        return retrieve(built, self.suite.queries.texts, self.suite.depth, exclude=exclude)

    def _done(self, keys: Sequence[str]) -> None:
        """Forget what no later system needs; all that was read goes with the last system."""
        for key in keys:
            self._left[key] -= 1
            if self._left[key] <= 0:
                part = self._kept.pop(key, None)
                if isinstance(part, Closes):
                    part.close()
        if not +self._left:
            self._kept.clear()


def _keys(system: System) -> list[str]:
    """What the system's first stage and its reranker are known by."""
    parts = [("first", system.retriever, system.params)]
    if system.reranker is not None:
        parts.append(("reranker", system.reranker, system.reranker_params))
    return [json.dumps(part, sort_keys=True, default=repr) for part in parts]
