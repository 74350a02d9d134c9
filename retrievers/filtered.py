"""Some of the documents alone: any retriever under fixed metadata filters."""

from collections.abc import Sequence
from pathlib import Path

import retrievers
from qrels.data import Corpus, Filter, Run
from qrels.errors import UsageError
from retrievers.base import Closes, Retriever, SavesIndex, can_filter
from retrievers.filters import matching, parse_filter


class Filtered:
    """Ranks the documents that meet all conditions of *where*, as another retriever does.

    retriever: the spec of that one, which has to filter itself. where: as `bench search --filter`
    takes them, such as "license=mit" or "downloads>=1000".
    """

    _part: Retriever

    def __init__(self, retriever: str = "bm25", where: Sequence[str] = ()) -> None:
        self.retriever = retriever
        self.where = where

    def index(self, corpus: Corpus) -> None:
        """Index the whole corpus; UsageError for a condition that its columns cannot meet."""
        self._make(corpus)
        self._part.index(corpus)

    def search(self, queries: Sequence[str], k: int, where: Sequence[Filter] = ()) -> Run:
        """As the other retriever's `search`, under these conditions too."""
        assert can_filter(self._part), "checked when it was made"
        return self._part.search(queries, k, [*map(parse_filter, self.where), *where])

    def save(self, folder: Path) -> None:
        """The other retriever's index; one that saves none is built again."""
        if isinstance(self._part, SavesIndex):
            self._part.save(folder)

    def load(self, folder: Path, corpus: Corpus) -> None:
        """Take the index that `save` wrote."""
        self._make(corpus)
        if isinstance(self._part, SavesIndex):
            self._part.load(folder, corpus)
        else:
            self._part.index(corpus)

    def close(self) -> None:
        """Let go of what the other retriever holds."""
        if isinstance(part := getattr(self, "_part", None), Closes):
            part.close()

    def _make(self, corpus: Corpus) -> None:
        self._part = retrievers.create(self.retriever)
        if not can_filter(self._part):
            raise UsageError(f"retriever {self.retriever!r} cannot filter")
        matching(corpus.metadata, [parse_filter(text) for text in self.where], len(corpus))
