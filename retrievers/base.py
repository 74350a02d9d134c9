"""The two-method protocol of a retriever, and the optional abilities, each a small protocol.

A retriever is any class with `index` and `search`; its author need not import this module. The
constructor stores its arguments, unchanged and under their own names, and does nothing else;
`search` changes nothing.
"""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeGuard, runtime_checkable

from qrels.data import Corpus, Filter, Qrels, Run


@runtime_checkable
class Retriever(Protocol):
    """Ranks the documents of an indexed corpus for text queries."""

    def index(self, corpus: Corpus) -> None:
        """Build what search needs from *corpus*."""

    def search(self, queries: Sequence[str], k: int) -> Run:
        """The k best documents of each query: docs int32 and scores float32, (n_queries, k).

        Best first, padded by -1 and -inf; equal scores by `qrels.ranking`'s one rule. Any pair
        of arrays of these shapes will do for a plug-in.
        """


class Filters(Protocol):
    """Applies metadata filters itself, exactly, before the top k: its `search` takes `where`."""

    def search(self, queries: Sequence[str], k: int, where: Sequence[Filter] = ()) -> Run: ...


def can_filter(retriever: object) -> TypeGuard[Filters]:
    """Whether *retriever* has the ability `Filters`; isinstance would look at names alone."""
    search = getattr(retriever, "search", None)
    return search is not None and "where" in inspect.signature(search).parameters


@runtime_checkable
class Stages(Protocol):
    """Splits `search` into encoding and searching, so that each can be timed.

    search(queries, k, where) must equal search_encoded(encode(queries), k, where).
    """

    def encode(self, queries: Sequence[str]) -> Any: ...  # the retriever's own form of queries

    def search_encoded(self, encoded: Any, k: int, where: Sequence[Filter] = ()) -> Run: ...


@runtime_checkable
class SavesIndex(Protocol):
    """Writes its index to an empty folder and reads it back; nothing is ever unpickled."""

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path, corpus: Corpus) -> None:
        """Take the index of the same parameters from *folder*; *corpus* is the one indexed."""


@runtime_checkable
class Closes(Protocol):
    """Holds something to be released: a connection, a file, a process."""

    def close(self) -> None: ...


@runtime_checkable
class Told(Protocol):
    """Is told the judgements before it searches, and so is no retriever but a ceiling."""

    def tell(self, queries: Sequence[str], qrels: Qrels, relevance_level: int) -> None: ...


@runtime_checkable
class Approximates(Protocol):
    """Finds most of what an exact retriever would; a report says how much, and at what cost."""

    def exact(self) -> Retriever:
        """The retriever whose rankings this one's are to come near, not yet indexed."""

    def about(self) -> Mapping[str, float | str]: ...  # the settings it searches with, by name


@runtime_checkable
class Reads(Protocol):
    """Splits `index` into reading the corpus and weighing what was read.

    Retrievers whose `reading` is equal can share what one of them read: index(corpus) must equal
    index_read(read(corpus), corpus).
    """

    def reading(self) -> str: ...  # everything that `read` depends on

    def read(self, corpus: Corpus) -> Any: ...  # the retriever's own form of the corpus

    def index_read(self, read: Any, corpus: Corpus) -> None: ...
