"""Embeddings on disk by content: what was encoded once, by any process, is not encoded again.

A vector is found by the encoder's digest (model, prompts, normalisation, truncation, dtype), the
side, the kind (one vector a text, or one a token) and the text's hash. An entry that does not
check out is encoded again, never used. Where the folder cannot be written, work goes on without.
"""

import hashlib
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from encoders.base import Side
from encoders.segments import (
    FORMAT,
    Identity,
    Keys,
    Places,
    Segment,
    Store,
    distinct,
    text_keys,
    vectors_of,
)
from qrels import content

BLOCK = 1024
"""Texts encoded between two writes: what an interruption can lose."""

SMALL_SEGMENTS = 32
"""How many files of fewer than BLOCK texts (single queries) gather before they become one."""

STORED = {"sentence": "<f4", "tokens": "<f2"}
"""How vectors are stored; token vectors are rounded to float16, cached or not."""

Progress = Callable[[int, int], None]  # texts done, texts to encode


@dataclass
class EncodingStats:
    """What encoding cost inside a scope.

    texts: distinct texts asked for, by call; from_cache: how many of them the cache had;
    encode_ns: time spent encoding the others; recorded_ns: time that encoding the cached ones
    took when they were encoded; load_ns: time spent loading models, in neither of the two.
    """

    texts: int = 0
    from_cache: int = 0
    encode_ns: int = 0
    recorded_ns: int = 0
    load_ns: int = 0


@runtime_checkable
class Loads(Protocol):
    """An encoder that can load its model ahead of the first text; a second call does nothing."""

    def load(self) -> None: ...


@dataclass(frozen=True)
class Policy:
    """How the cache is used: where, for queries too or not, at all or not."""

    folder: Path | None = None
    queries: bool = True
    enabled: bool = True
    progress: Progress | None = None
    stats: EncodingStats = field(default_factory=EncodingStats)


_POLICY: ContextVar[Policy | None] = ContextVar("cache policy", default=None)


@contextmanager
def cache_policy(
    folder: Path | str | None = None,
    queries: bool | None = None,
    enabled: bool | None = None,
    progress: Progress | None = None,
) -> Iterator[EncodingStats]:
    """Inside, encoders use the cache like this; what is not given is as outside.

    queries=False: query vectors are neither read nor written, as timing needs. Yields the
    scope's own stats; a scope inside it keeps its own.
    """
    given = {
        "folder": None if folder is None else Path(folder),
        "queries": queries,
        "enabled": enabled,
        "progress": progress,
    }
    changes: dict[str, Any] = {k: v for k, v in given.items() if v is not None}  # Policy's fields
    policy = replace(_POLICY.get() or Policy(), **changes, stats=EncodingStats())
    token = _POLICY.set(policy)
    try:
        yield policy.stats
    finally:
        _POLICY.reset(token)


def cache_folder() -> Path:
    """The scope's folder, else BENCH_CACHE, else retrieval-bench in the user's cache folder."""
    policy = _POLICY.get()
    if policy is not None and policy.folder is not None:
        return policy.folder
    return content.cache_folder()


def keeps_queries() -> bool:
    """Whether what was made for a query may be kept and read again here; not where it is timed."""
    policy = _policy()
    return policy.enabled and policy.queries


class CachedEncoder:
    """*inner* with its vectors kept on disk; equal texts get equal vectors.

    inner: an `Encoder` and `TokenEncoder` with `describe`.
    """

    def __init__(self, inner: Any) -> None:  # an intersection of protocols, which types lack
        self.inner = inner
        self._stores: dict[tuple[Path, str, str], Store] = {}

    @property
    def digest(self) -> str:
        found: str = self.inner.digest
        return found

    @property
    def dimension(self) -> int:
        return int(self.inner.dimension)

    def describe(self) -> dict[str, Any]:
        """What the record says of the encoder: plain data."""
        found: dict[str, Any] = self.inner.describe()
        return found

    def encode(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:
        """float32 (n_texts, dimension); may be read-only, mapped from the cache's file."""
        if not len(texts):
            return np.empty((0, self.dimension), np.float32)
        store = self._store(side, "sentence")
        which: Sequence[int] | NDArray[np.int64] | None
        if store is None:
            unique = {text: row for row, text in enumerate(dict.fromkeys(texts))}
            vectors, _ = self._timed("sentence", list(unique), side)
            which = [unique[text] for text in texts] if len(unique) < len(texts) else None
        else:
            places, which = self._places(store, texts, side)
            vectors = _gathered(store, places)
        return np.asarray(vectors if which is None else vectors[which], np.float32)

    def encode_tokens(self, texts: Sequence[str], side: Side) -> list[NDArray[np.float32]]:
        """For each text, unit vectors float32 (n_tokens, dimension), rounded to float16."""
        store = self._store(side, "tokens")
        which: Sequence[int] | NDArray[np.int64] | None
        if store is None:
            unique = {text: row for row, text in enumerate(dict.fromkeys(texts))}
            vectors, _ = self._timed("tokens", list(unique), side)
            found = [part.astype(STORED["tokens"]) for part in vectors]
            which = [unique[text] for text in texts]
        else:
            places, which = self._places(store, texts, side)
            found = [vectors_of(store.segments[number], row) for number, row in places.T]
        rounded = [part.astype(np.float32) for part in found]
        return rounded if which is None else [rounded[row] for row in which]

    def _store(self, side: Side, kind: str) -> Store | None:
        """The store to use, or None where the scope says to use none."""
        policy = _policy()
        if not policy.enabled or (side == "query" and not policy.queries):
            return None
        folder = cache_folder()
        if (folder, side, kind) not in self._stores:
            owner = hashlib.sha256(self.digest.encode()).hexdigest()[:32]
            place = folder / f"embeddings-{FORMAT}" / owner / f"{side}-{kind}"
            identity = Identity(self.digest, side, kind, STORED[kind])
            self._stores[folder, side, kind] = Store(place, identity)
        return self._stores[folder, side, kind]

    def _places(
        self, store: Store, texts: Sequence[str], side: Side
    ) -> tuple[Places, NDArray[np.int64] | None]:
        """Where each distinct text's vectors are, once those that lack them are encoded.

        And for every text the number of its own among those, None where all differ.
        """
        keys = text_keys(texts)
        firsts, which = distinct(keys)
        keys = keys[firsts]
        places = store.find(keys)
        _count_cached(store, places)
        missing = np.flatnonzero(places[0] < 0)
        for start in range(0, len(missing), BLOCK):
            block = missing[start : start + BLOCK]
            wanted = [texts[place] for place in firsts[block].tolist()]
            made = self._segment(store.identity.kind, keys[block], wanted, side)
            with _warned(store.folder):
                store.add(made)
            if progress := _policy().progress:
                progress(start + len(block), len(missing))
        with _warned(store.folder):
            _tidy(store, keys, -(-len(missing) // BLOCK))
        return store.find(keys) if len(missing) else places, which

    def _segment(self, kind: str, keys: Keys, texts: Sequence[str], side: Side) -> Segment:
        """The vectors of *texts*, newly encoded."""
        found, spent_ns = self._timed(kind, texts, side)
        ends = None
        if kind == "tokens":
            ends = np.cumsum([len(vectors) for vectors in found], dtype=np.int64)
            found = np.concatenate(found)
        return Segment(keys, found.astype(STORED[kind]), ends, spent_ns)

    def _timed(self, kind: str, texts: Sequence[str], side: Side) -> tuple[Any, int]:
        """What the inner encoder answers, and the nanoseconds it took, counted in the stats."""
        encode = getattr(self.inner, {"sentence": "encode", "tokens": "encode_tokens"}[kind])
        stats = _policy().stats
        start = time.perf_counter_ns()
        if isinstance(self.inner, Loads):
            self.inner.load()
        loaded = time.perf_counter_ns()
        found = encode(texts, side)
        spent_ns = time.perf_counter_ns() - loaded
        stats.load_ns += loaded - start
        stats.texts += len(texts)
        stats.encode_ns += spent_ns
        return found, spent_ns


def _policy() -> Policy:
    return _POLICY.get() or Policy()


def _gathered(store: Store, places: Places) -> NDArray[np.float32]:
    """float32 (n_texts, dimension): a view of the mapped file where the rows follow each other."""
    numbers, rows = places
    first = store.segments[numbers[0]].vectors
    if (numbers == numbers[0]).all() and (np.diff(rows) == 1).all():
        return np.asarray(first[rows[0] : rows[0] + len(rows)], np.float32)
    found = np.empty((len(rows), first.shape[1]), np.float32)
    for number in np.unique(numbers):
        here = numbers == number
        found[here] = store.segments[number].vectors[rows[here]]
    return found


def _count_cached(store: Store, places: Places) -> None:
    """Add the texts that the store has to the scope's stats, with what encoding them took."""
    stats = _policy().stats
    numbers, counts = np.unique(places[0, places[0] >= 0], return_counts=True)
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        segment = store.segments[number]
        stats.texts += count
        stats.from_cache += count
        stats.recorded_ns += round(segment.encode_ns * count / len(segment.keys))


def _tidy(store: Store, keys: Keys, written: int) -> None:
    """Make one file of the blocks that a call used, or of many small ones, so that few are opened.

    The blocks of an interrupted call are among those that the next one uses; in its order, so
    that the vectors follow each other.
    """
    if written > 1 and store.identity.kind == "sentence":
        used = (store.segments[number] for number in dict.fromkeys(store.find(keys)[0].tolist()))
        blocks = [part for part in used if part.path is not None and len(part.keys) <= BLOCK]
        if len(blocks) > 1:
            store.merge(blocks)
    elif written and len(small := store.small(BLOCK)) > SMALL_SEGMENTS:
        store.merge(small)


@contextmanager
def _warned(folder: Path) -> Iterator[None]:
    """Turn a failure to write the cache into a warning."""
    try:
        yield
    except OSError as error:
        warnings.warn(
            f"embeddings are not cached: {folder} cannot be written ({error.strerror})",
            RuntimeWarning,
            stacklevel=4,
        )
