"""Vector stores behind the two methods of a retriever: all that their adapters share.

A store is asked which documents are nearest, and for no more: the scores of what it names are
computed anew, in float64, from the vectors that the encoder gave, which stay in memory (or, of a
saved index, in a mapped file). So exact search ranks as `dense` does, bit by bit, whatever number
format or order of ties the store has: a few documents more than k are fetched, and more again
while one that was not fetched may, by float32 rounding, still belong among the k best.

A collection is named by a digest of what is in it. Indexing the same vectors and metadata by the
same parameters finds it there, and nothing is ever mixed.
"""

import contextlib
import hashlib
import importlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

import encoders
from encoders.cache import cache_folder
from qrels.data import ABSENT, Column, Corpus, Filter, Run
from qrels.errors import BenchError, MissingPackageError, UsageError, unknown
from qrels.ranking import top_k
from retrievers.base import Retriever
from retrievers.dense import Dense
from retrievers.store_filters import Condition, Stored, stored_columns, translated
from retrievers.vectors import SIMILARITIES, Floats, VectorRetriever, unit

MORE = 16
"""Documents fetched beyond k, to see whether equal scores cross the cut."""

QUERIES = 100
"""Queries in one request, at most."""

SECONDS = 5.0
"""Between two lines of progress, at the least."""

FORMAT = 1
"""Goes into a collection's name: raised when what is stored changes its form."""

SECRET = re.compile(r"//[^/@]*:.*@|(password|token|api_?key)\s*=", re.IGNORECASE)


class Batch(NamedTuple):
    """Documents to be stored: positions, vectors float32 (n, dimension), and their metadata."""

    positions: list[int]
    vectors: Floats
    columns: Sequence[Stored]


class StoreRetriever(VectorRetriever):
    """Nearest vectors of the joined text, found by a vector store.

    encoder, similarity, fields: as in `dense`. kind: exact, or one of the store's approximate
    indexes. url: where the store is; by default what the environment variable of `VARIABLE` says.
    build_params, search_params: of the approximate index, by the store's own names. batch:
    documents uploaded at once.
    """

    NAME: ClassVar[str]
    VARIABLE: ClassVar[str]
    SECRETS: ClassVar[str]
    """Environment variables that hold what to sign in with."""
    INDEXES: ClassVar[Sequence[str]]
    """The approximate kinds."""

    _client: Any = None  # the store's own; opened when needed, left out of pickles
    _collection: str
    _longest: float

    def __init__(
        self,
        encoder: str = "minilm",
        kind: str = "exact",
        similarity: str = "cosine",
        fields: Sequence[str] | None = None,
        url: str | None = None,
        build_params: Mapping[str, Any] | None = None,
        search_params: Mapping[str, Any] | None = None,
        batch: int = 1000,
    ) -> None:
        self.encoder = encoder
        self.kind = kind
        self.similarity = similarity
        self.fields = fields
        self.url = url
        self.build_params = build_params
        self.search_params = search_params
        self.batch = batch

    # What a store's adapter says

    def _open(self) -> Any:
        """A client of the store."""
        raise NotImplementedError

    def _shut(self, client: Any) -> None:
        """Let the client go."""
        raise NotImplementedError

    def _errors(self) -> tuple[type[Exception], ...]:
        """What its client raises."""
        raise NotImplementedError

    def _holds(self, client: Any) -> bool:
        """Whether the collection is there, whole."""
        raise NotImplementedError

    def _fill(self, client: Any, batches: Iterator[Batch]) -> None:
        """Make the collection, in place of any unfinished one."""
        raise NotImplementedError

    def _nearest(
        self, client: Any, queries: Floats, k: int, conditions: Sequence[Condition]
    ) -> list[Sequence[int]]:
        """For each query positions of up to k documents that meet the conditions, best first."""
        raise NotImplementedError

    # What is the same for all

    def index(self, corpus: Corpus) -> None:
        if self.kind not in (allowed := ("exact", *self.INDEXES)):
            raise unknown(f"kind of {self.NAME}", self.kind, allowed)
        self.close()
        super().index(corpus)
        self._ready()

    def load(self, folder: Path, corpus: Corpus) -> None:
        self.close()
        super().load(folder, corpus)
        self._ready()

    def search_encoded(self, encoded: Floats, k: int, where: Sequence[Filter] = ()) -> Run:
        conditions, size = translated(self._metadata, where), len(self._tie_order)
        run = Run(
            np.full((len(encoded), k), ABSENT, np.int32),
            np.full((len(encoded), k), -np.inf, np.float32),
        )
        slack = self._slack(encoded)
        rows, fetch = np.arange(len(encoded)), min(k + MORE, size)
        while k and fetch and len(rows):
            more = []
            for row, named in zip(rows, self._found(encoded[rows], fetch, conditions), strict=True):
                docs = np.asarray(named, np.int64)
                scores = self._exact_scores(docs, encoded[row])
                places, best = top_k(scores[None], k, self._tie_order[docs])
                kept = places[0] != ABSENT
                run.docs[row, kept], run.scores[row] = docs[places[0][kept]], best[0]
                if len(docs) == fetch < size and scores[-1] >= best[0, -1] - slack[row]:
                    more.append(row)
            rows, fetch = np.array(more, np.int64), min(2 * fetch, size)
        return run

    def exact(self) -> Retriever:
        """`dense` over the same vectors, not yet indexed."""
        return Dense(self.encoder, self.similarity, self.fields)

    def about(self) -> dict[str, float | str]:
        """The kind of index, and the settings it is built and searched with."""
        given = {**(self.build_params or {}), **(self.search_params or {})}
        shown = {k: v if isinstance(v, float | int) else str(v) for k, v in given.items()}
        return {"kind": self.kind, **shown}

    def close(self) -> None:
        """Let the store go; a later search opens it again."""
        if (client := vars(self).pop("_client", None)) is not None:
            self._shut(client)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_client"}

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # the interpreter may be half gone
            self.close()

    def _vectors(self, corpus: Corpus) -> Floats:
        texts = corpus.joined(self.fields)
        return encoders.load(self.encoder).encode(texts, "passage")

    def _keep(self, arrays: Mapping[str, NDArray[Any]], corpus: Corpus) -> None:
        super()._keep(arrays, corpus)
        self._longest = float(arrays["norms"].max(initial=0))
        self._collection = self._named(arrays["vectors"], corpus.metadata)

    def _named(self, vectors: Floats, metadata: Mapping[str, Column]) -> str:
        """The collection's name, from all that is in it and how it is built."""
        about = [FORMAT, vectors.shape, self.similarity, self.kind, self.build_params]
        found = hashlib.sha256(json.dumps(about, default=dict, sort_keys=True).encode())
        found.update(np.ascontiguousarray(vectors).data)
        for column in stored_columns(metadata):
            found.update(json.dumps(column).encode())
        return f"bench_{found.hexdigest()[:32]}"

    def _ready(self) -> Any:
        """The store's client, its collection filled."""
        if self._client is None and len(self._tie_order):
            with self._told():
                client = self._open()
                try:
                    if not self._holds(client):
                        self._fill(client, self._batches())
                except BaseException:
                    self._shut(client)
                    raise
                self._client = client
        return self._client

    def _batches(self) -> Iterator[Batch]:
        """All documents, a batch at a time; long uploads tell how far they are."""
        columns, size = list(stored_columns(self._metadata)), len(self._tie_order)
        told = time.monotonic()
        for start in range(0, size, self.batch):
            here = slice(start, min(start + self.batch, size))
            yield Batch(
                list(range(size)[here]),
                self._sent(self._arrays["vectors"][here]),
                [column._replace(values=column.values[here]) for column in columns],
            )
            if time.monotonic() - told > SECONDS:
                told = time.monotonic()
                print(f"{self.NAME}: {here.stop:,} of {size:,} documents", file=sys.stderr)

    def _sent(self, vectors: Floats) -> Floats:
        """As the store gets them: of length 1 for cosine, which is then the dot product.

        A zero vector, whose cosine a store may not define, keeps its place by this.
        """
        return unit(vectors) if self.similarity == "cosine" else np.ascontiguousarray(vectors)

    def _found(
        self, queries: Floats, fetch: int, conditions: Sequence[Condition]
    ) -> list[Sequence[int]]:
        client, sent = self._ready(), self._sent(queries)
        found: list[Sequence[int]] = []
        with self._told():
            for start in range(0, len(sent), QUERIES):
                found += self._nearest(client, sent[start : start + QUERIES], fetch, conditions)
        return found

    def _exact_scores(self, docs: NDArray[np.int64], query: Floats) -> Floats:
        """float32 (n_docs,), computed in float64 as `dense` does."""
        rows = self._arrays["vectors"][docs].astype(np.float64)
        found = SIMILARITIES[self.similarity](rows, query.astype(np.float64))
        return found.astype(np.float32)

    def _slack(self, queries: Floats) -> Floats:
        """float32 (n_queries,): by how much rounding can put two documents out of order."""
        rounding = 2 * np.finfo(np.float32).eps * (queries.shape[1] + 16)
        lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
        reach = {
            "cosine": np.ones(len(queries)),
            "dot": lengths * self._longest,
            "l2": (lengths + self._longest) ** 2,
        }
        return np.asarray(rounding * reach[self.similarity], np.float32)

    def _address(self, default: str | None) -> str:
        """The url, the environment's, or *default*; UsageError for a url that holds a secret."""
        if self.url and SECRET.search(self.url):
            raise UsageError(
                f"{self.NAME}: url must hold no password, it is written into records; "
                f"set {self.SECRETS}, or {self.VARIABLE} to the whole url"
            )
        found = self.url or os.environ.get(self.VARIABLE) or default
        if found is None:
            raise UsageError(f"{self.NAME} needs a server: url=..., or {self.VARIABLE} set to it")
        return found

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What the client raises inside becomes one line."""
        try:
            yield
        except BenchError:
            raise
        except self._errors() as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            secret = os.environ.get(self.VARIABLE)
            said = lines[0].replace(secret, self.VARIABLE) if secret else lines[0]
            raise UsageError(f"{self.NAME}: {said}") from error


def embedded_folder(name: str) -> Path:
    """Where an embedded store keeps its files by default: in the cache folder."""
    folder = cache_folder() / "stores" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def package(module: str, extra: str) -> Any:  # whatever the module is
    """The module of a store's client; MissingPackageError says how to install it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"retriever {extra!r} needs the package {error.name!r}, which is not installed; "
            f"pip install 'retrieval-bench[{extra}]'"
        ) from error
