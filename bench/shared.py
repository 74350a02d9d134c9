"""What systems of one suite have in common, done once: index, first stage, prepared reranker."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from bench.config import System
from bench.system import Built, close, make, own_documents, rerank, retrieve
from qrels.data import Run, Suite
from rerankers.base import Prepares, Reranker
from retrievers.base import Closes, Reads, Retriever


class Shared:
    """The stages of systems on one suite, each kept only while a later system needs it.

    Two systems share a first stage where retriever and parameters are the same, a reranker
    likewise, and what was read of the corpus where the retriever says that it is the same.
    """

    def __init__(self, suite: Suite, systems: Sequence[System]) -> None:
        self.suite = suite
        self._left: Counter[str] = Counter()
        self._kept: dict[str, Any] = {}  # a first stage's run, a reranker, or what was read
        firsts = {}
        for system in systems:
            keys = _keys(system)
            self._left.update(keys)
            firsts[keys[0]] = make(system, suite.corpus).retriever
        self._left.update(filter(None, map(_reading, firsts.values())))

    def stages(self, system: System) -> tuple[Run, Run]:
        """The checked rankings of the first stage, and after reranking, (n_queries, depth)."""
        keys = _keys(system)
        built = make(system, self.suite.corpus)
        try:
            first = self._first(built, keys[0])
            if built.reranker is None:
                return first, first
            ready = built._replace(reranker=self._ready(built, keys[1]))
            return first, rerank(ready, self.suite.queries.texts, first)
        finally:
            self._done(keys)

    def _first(self, built: Built, key: str) -> Run:
        """The first stage's rankings: those that are kept, or of the retriever indexed now."""
        if key not in self._kept:
            try:
                self._index(built.retriever)
                exclude = own_documents(self.suite) if self.suite.rules.exclude_self else None
                self._kept[key] = retrieve(
                    built, self.suite.queries.texts, self.suite.depth, exclude=exclude
                )
            finally:
                close(built._replace(reranker=None))
        return cast("Run", self._kept[key])

    def _index(self, retriever: Retriever) -> None:
        """Index the corpus, from what was read before where the retriever can."""
        key = _reading(retriever)
        if key is None:
            retriever.index(self.suite.corpus)
            return
        assert isinstance(retriever, Reads)  # it has a reading
        self._left[key] -= 1
        read = self._kept.pop(key, None)
        if read is None:
            read = retriever.read(self.suite.corpus)
        if self._left[key] > 0:
            self._kept[key] = read
        retriever.index_read(read, self.suite.corpus)

    def _ready(self, built: Built, key: str) -> Reranker | None:
        """The reranker, prepared: the one that is kept, or else this system's own."""
        if key not in self._kept:
            self._kept[key] = built.reranker  # which is closed even if it cannot be prepared
            try:
                if isinstance(built.reranker, Prepares):
                    built.reranker.prepare(self.suite.corpus)
            except BaseException:
                self._forget(key)
                raise
        return cast("Reranker | None", self._kept[key])

    def _done(self, keys: Sequence[str]) -> None:
        """Forget what no later system needs."""
        for key in keys:
            self._left[key] -= 1
            if self._left[key] <= 0:
                self._forget(key)

    def _forget(self, key: str) -> None:
        part = self._kept.pop(key, None)
        if isinstance(part, Closes):
            part.close()


def _reading(retriever: object) -> str | None:
    """What the retriever's reading of the corpus is known by, None where it has none."""
    if not isinstance(retriever, Reads):
        return None
    kind = type(retriever)  # a subclass may read otherwise
    try:
        return f"read {kind.__module__}:{kind.__qualname__} {retriever.reading()}"
    except Exception:  # a plug-in may raise anything; `index` will say what is wrong
        return None


def _keys(system: System) -> list[str]:
    """What the system's first stage and its reranker are known by."""
    parts = [("first", system.retriever, system.params)]
    if system.reranker is not None:
        parts.append(("reranker", system.reranker, system.reranker_params))
    return [json.dumps(part, sort_keys=True, default=repr) for part in parts]
