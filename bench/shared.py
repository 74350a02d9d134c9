"""What systems of one suite have in common, done once: index, first stage, prepared reranker."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

from bench.config import System
from bench.stages import StageCache
from bench.system import Built, close, make, own_documents, rerank, retrieve, tell
from qrels.data import Run, Suite
from rerankers.base import Prepares, Reranker
from retrievers.base import Closes, Reads, Retriever


class Shared:
    """The stages of systems on one suite, each kept only while a later system needs it.

    Two systems share a first stage where retriever and parameters are the same, a reranker
    likewise, and what was read of the corpus where the retriever says that it is the same.
    disk: where rankings outlive this process, None for nowhere.
    """

    def __init__(
        self, suite: Suite, systems: Sequence[System], disk: StageCache | None = None
    ) -> None:
        self.suite = suite
        self._disk = disk
        self._left: Counter[str] = Counter()
        self._kept: dict[str, Any] = {}  # a first stage's run, a reranker, or what was read
        self._unread: dict[str, str | None] = {}  # the reading of each first stage not yet made
        for system in systems:
            keys = _keys(system)
            self._left.update(keys)
            self._unread[keys[0]] = reading_of(make(system, suite.corpus).retriever)

    def stages(
        self, system: System, work: Callable[[Run | None], tuple[Run, Run]] | None = None
    ) -> tuple[Run, Run]:
        """The checked rankings of the first stage, and after reranking, (n_queries, depth).

        What is kept nowhere is made here, or by *work*, which gets the first stage's rankings
        where they are known.
        """
        try:
            first, run = self.known(system)
            if first is None or run is None:
                first, run = self._made(system, first) if work is None else work(first)
                self.learn(system, first, run)
            return first, run
        finally:
            self._done(_keys(system))

    def known(self, system: System) -> tuple[Run | None, Run | None]:
        """The rankings of both stages that are kept, here or on disk."""
        key = first_key(system)
        if key not in self._kept and self._disk:
            first = self._disk.load(self.suite, system)
            if first is not None:
                self.give(system, first)
        first = self._kept.get(key)
        if first is None or system.reranker is None:
            return first, first
        return first, self._disk.load(self.suite, system, True) if self._disk else None

    def learn(self, system: System, first: Run, run: Run | None = None) -> None:
        """Keep the rankings of the first stage, on disk too, and with *run* those reranked."""
        if self._disk:
            self._disk.save(self.suite, system, first)
            if run is not None and system.reranker is not None:
                self._disk.save(self.suite, system, run, True)
        self.give(system, first)

    def give(self, system: System, first: Run) -> None:
        """Take the rankings of the system's first stage as made elsewhere."""
        key = first_key(system)
        self._kept[key] = first
        self._read(key)

    def first(self, system: System) -> Run:
        """The checked rankings of the first stage alone."""
        return self._first(make(system, self.suite.corpus), first_key(system))

    def _made(self, system: System, first: Run | None) -> tuple[Run, Run]:
        """Both stages, made here; the first where it is not known."""
        built = make(system, self.suite.corpus)
        keys = _keys(system)
        if first is None:
            first = self._first(built, keys[0])
        if built.reranker is None:
            return first, first
        ready = built._replace(reranker=self._ready(built, keys[1]))
        return first, rerank(ready, self.suite.queries.texts, first)

    def _first(self, built: Built, key: str) -> Run:
        """The first stage's rankings: those that are kept, or of the retriever indexed now."""
        if key not in self._kept:
            try:
                tell(built.retriever, self.suite)
                self._index(built.retriever, key)
                exclude = own_documents(self.suite) if self.suite.rules.exclude_self else None
                self._kept[key] = retrieve(
                    built, self.suite.queries.texts, self.suite.depth, exclude=exclude
                )
            finally:
                close(built._replace(reranker=None))
        return cast("Run", self._kept[key])

    def _index(self, retriever: Retriever, key: str) -> None:
        """Index the corpus, from what was read before where the retriever can."""
        reading = self._unread.get(key)
        if reading is None:
            retriever.index(self.suite.corpus)
            return
        assert isinstance(retriever, Reads)  # it has a reading
        read = self._kept.get(reading)
        if read is None:
            read = self._kept[reading] = retriever.read(self.suite.corpus)
        self._read(key)
        retriever.index_read(read, self.suite.corpus)

    def _read(self, key: str) -> None:
        """Forget what was read of the corpus where no first stage but this one needed it."""
        reading = self._unread.pop(key, None)
        if reading is not None and reading not in self._unread.values():
            self._kept.pop(reading, None)

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


def reading_of(retriever: object) -> str | None:
    """What the retriever's reading of the corpus is known by, None where it has none."""
    if not isinstance(retriever, Reads):
        return None
    kind = type(retriever)  # a subclass may read otherwise
    try:
        return f"read {kind.__module__}:{kind.__qualname__} {retriever.reading()}"
    except Exception:  # a plug-in may raise anything; `index` will say what is wrong
        return None


def first_key(system: System) -> str:
    """What the system's first stage is known by."""
    return _keys(system)[0]


def _keys(system: System) -> list[str]:
    """What the system's first stage and its reranker are known by."""
    parts = [("first", system.retriever, system.params)]
    if system.reranker is not None:
        parts.append(("reranker", system.reranker, system.reranker_params))
    return [json.dumps(part, sort_keys=True, default=repr) for part in parts]
