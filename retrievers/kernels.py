"""Compiled search over postings: the k best documents of each query, exactly, without the GIL.

Documents are scored a block at a time: the sums of a block stay in the nearest cache, and what
does not reach the k-th best score so far is passed over a strip at a time.

Importing this module imports numba. Machine code is kept beside this file or, where that folder
cannot be written, in numba's cache folder of the user. Places and documents are held within
their arrays, so that a damaged index gives wrong answers at worst.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])  # any signature
Flags = NDArray[np.bool_]
Ints = NDArray[np.int32]
Wide = NDArray[np.int64]
Keys = NDArray[np.uint64]
Singles = NDArray[np.float32]
Doubles = NDArray[np.float64]

BLOCK = 4096
"""Documents scored at a time: their sums fill a nearest cache of 32 KiB."""
STRIP = 64
"""Documents passed over together where none reaches the score to beat."""
FEW = 8
"""Up to so many keys are sorted by insertion."""
IN_BLOCK = np.int32(BLOCK - 1)
HALF, LOW, SIGN = np.uint64(32), np.uint64(0xFFFFFFFF), np.uint32(0x80000000)


def _inner(function: Function) -> Function:
    """Machine code of a function that is part of another's."""
    return cast("Function", numba.njit(nogil=True)(function))


def kept(signature: object) -> Callable[[Function], Function]:
    """Machine code of a function, made at once, and kept on disk where there is a folder for it."""

    def compiled(function: Function) -> Function:
        try:
            return cast("Function", numba.njit(signature, nogil=True, cache=True)(function))
        except (RuntimeError, OSError):  # nowhere to keep it, or no room
            return cast("Function", numba.njit(signature, nogil=True)(function))

    return compiled


def _array(dtype: Any, dimensions: int = 1, readonly: bool = True) -> Any:  # numba's own types
    """The type of arrays; one that is read-only here takes those that can be written too."""
    return types.Array(dtype, dimensions, "C", readonly=readonly)


I4, I8, F4 = types.int32, types.int64, types.float32
READ = tuple(_array(dtype) for dtype in (I8, I4, F4, F4, I8, I4, I4, types.bool_))
"""The arguments of `fill` that it only reads."""


class Pool(NamedTuple):
    """The documents that may be among the k best: uint64 keys, see `_key`, and int32 docs."""

    keys: Keys
    docs: Ints


class Strip(NamedTuple):
    """Scratch: which of STRIP documents reach the score to beat, and where those are.

    flags: uint8 (STRIP,); near: int64 (STRIP + 1,).
    """

    flags: NDArray[np.uint8]
    near: Wide


class Query(NamedTuple):
    """What decides besides the sums: what each adds at the least, ties, and who may come in.

    allowed: bool (n_docs,), or (0,) where all may.
    """

    offset: float
    tie_order: Ints
    allowed: Flags
    k: int


@_inner
def _key(score: np.float32, tie: int) -> np.uint64:
    """The larger the earlier a document ranks, never 0: its score's bits in order, then its tie."""
    bits = np.float32(score).view(np.uint32)
    ordered = ~bits if bits & SIGN else bits | SIGN
    return (np.uint64(ordered) << HALF) | (LOW - np.uint64(tie))


@_inner
def _score(ordered: np.uint32) -> np.float32:
    """The score of the upper half of a key."""
    bits = ordered ^ SIGN if ordered & SIGN else ~ordered
    return np.uint32(bits).view(np.float32)


@_inner
def _least(floor: np.uint64, offset: float) -> float:
    """A sum below which no score, the offset added, has the key *floor* or a larger one."""
    if not floor:
        return -np.inf
    below = np.float64(_score(np.uint32(floor >> HALF) - np.uint32(1)))
    return below - offset - (abs(below) + abs(offset)) * 2.0**-50  # sums round in float64


@_inner
def _swap(pool: Pool, one: int, other: int) -> None:
    pool.keys[one], pool.keys[other] = pool.keys[other], pool.keys[one]
    pool.docs[one], pool.docs[other] = pool.docs[other], pool.docs[one]


@_inner
def _split(pool: Pool, low: int, high: int) -> int:
    """Bring the keys of [low, high] that are above some middle one before it; its new place.

    Without a branch that depends on a key, which a processor would guess wrong half of the time.
    """
    keys, docs = pool
    middle = (low + high) >> 1
    if (keys[low] > keys[middle]) == (keys[low] < keys[high]):
        middle = low
    elif (keys[high] > keys[middle]) == (keys[high] < keys[low]):
        middle = high
    _swap(pool, middle, high)
    pivot, above = keys[high], low
    for place in range(low, high):
        key, doc = keys[place], docs[place]
        keys[place], docs[place] = keys[above], docs[above]
        keys[above], docs[above] = key, doc
        above += key > pivot
    _swap(pool, above, high)
    return above


@_inner
def _select(pool: Pool, count: int, k: int) -> None:
    """Bring the k largest of *count* keys to the front, the k-th largest last of them."""
    low, high = 0, count - 1
    while low < high:
        cut = _split(pool, low, high)
        if cut >= k - 1:
            high = cut - 1
        if cut <= k - 1:
            low = cut + 1


@_inner
def _insert(pool: Pool, low: int, high: int) -> None:
    """Order [low, high], largest first, by insertion."""
    keys, docs = pool
    for place in range(low + 1, high + 1):
        key, doc, gap = keys[place], docs[place], place
        while gap > low and keys[gap - 1] < key:
            keys[gap], docs[gap] = keys[gap - 1], docs[gap - 1]
            gap -= 1
        keys[gap], docs[gap] = key, doc


@_inner
def _sort(pool: Pool, count: int) -> None:
    """Order the first *count* keys, largest first."""
    waiting = np.empty((64, 2), np.int64)
    low, high, top = 0, count - 1, 0
    while True:
        while high - low >= FEW:
            cut = _split(pool, low, high)
            if cut - low > high - cut:  # the larger part waits, so that few do
                waiting[top], low = (low, cut - 1), cut + 1
            else:
                waiting[top], high = (cut + 1, high), cut - 1
            top += 1
        _insert(pool, low, high)
        if top == 0:
            return
        top -= 1
        low, high = waiting[top]


@_inner
def _add(docs: Ints, impacts: Singles, at: int, end: int, limit: int, sums: Doubles) -> int:
    """Add a term's impacts for the documents before *limit*, from place *at*; the place after."""
    while at + 8 <= end and docs[at + 7] < limit:
        for place in range(at, at + 8):
            sums[docs[place] & IN_BLOCK] += impacts[place]
        at += 8
    while at < end and docs[at] < limit:
        sums[docs[at] & IN_BLOCK] += impacts[at]
        at += 1
    return at


@_inner
def _sweep(
    pool: Pool, count: int, floor: np.uint64, query: Query, base: int, sums: Doubles, strip: Strip
) -> tuple[int, np.uint64]:
    """Take in what may be among the k best of the block from *base*, and clear its sums.

    Returns how many documents the pool holds, and the floor: a key below which none is among the
    k best, which rises when the pool is full.
    """
    keys, docs = pool
    flags, near = strip
    least = _least(floor, query.offset)
    for start in range(0, BLOCK, STRIP):
        reaching = False
        for place in range(start, start + STRIP):
            reaching |= (sums[place] >= least) & (sums[place] != 0)
        if reaching:
            for place in range(STRIP):
                flags[place] = (sums[start + place] >= least) & (sums[start + place] != 0)
            n_near, before = 0, floor
            for place in range(STRIP):  # without a branch to be guessed wrong
                near[n_near] = start + place
                n_near += flags[place]
            for place in near[:n_near]:
                doc = base + place
                if doc >= len(query.tie_order) or (len(query.allowed) and not query.allowed[doc]):
                    continue
                score = np.float32(sums[place] + query.offset) + np.float32(0)  # -0 is 0
                key = _key(score, query.tie_order[doc])
                if key > floor:
                    keys[count], docs[count] = key, doc
                    count += 1
                    if count == len(keys):
                        _select(pool, count, query.k)
                        count, floor = query.k, keys[query.k - 1]
            if floor != before:
                least = _least(floor, query.offset)
        for place in range(start, start + STRIP):
            sums[place] = 0
    return count, floor


@_inner
def _next_block(docs: Ints, at: Wide, end: Wide, n_docs: int) -> int:
    """Where the first block begins that a term has postings in; n_docs or more after the last."""
    doc = n_docs
    for term in range(len(at)):
        if at[term] < end[term]:
            doc = min(doc, docs[at[term]])
    return doc if doc >= n_docs else max(doc, 0) & ~(BLOCK - 1)


@kept(types.void(*READ, _array(I4, 2, False), _array(F4, 2, False)))
def fill(
    indptr: Wide,
    docs: Ints,
    impacts: Singles,
    offsets: Singles,
    starts: Wide,
    words: Ints,
    tie_order: Ints,
    allowed: Flags,
    found: Ints,
    scores: Singles,
) -> None:
    """Write the best documents of each query, and their scores, over the padding in the rows.

    indptr, docs, impacts, offsets: as in `Postings`; starts: int64 (n_queries + 1,), where in
    *words*, int32, the terms of each query are; tie_order: int32 (n_docs,); allowed: bool
    (n_docs,), or (0,) for all; found: int32, scores: float32, both (n_queries, k), k above 0.
    """
    n_docs = len(tie_order)
    k = min(found.shape[1], n_docs)
    room = k + max(16, k)
    pool = Pool(np.empty(room, np.uint64), np.empty(room, np.int32))
    sums = np.zeros(BLOCK, np.float64)
    strip = Strip(np.empty(STRIP, np.uint8), np.empty(STRIP + 1, np.int64))
    for row in range(len(found)):
        terms = words[starts[row] : starts[row + 1]]
        at = np.maximum(indptr[terms], 0)
        end = np.minimum(indptr[terms + 1], len(docs))
        offset = 0.0
        for term in terms:
            offset += offsets[term]
        query = Query(offset, tie_order, allowed, k)
        count, floor = 0, np.uint64(0)
        base = _next_block(docs, at, end, n_docs)
        while base < n_docs:
            for i in range(len(at)):
                at[i] = _add(docs, impacts, at[i], end[i], base + BLOCK, sums)
            count, floor = _sweep(pool, count, floor, query, base, sums, strip)
            base = _next_block(docs, at, end, n_docs)
        if count > k:
            _select(pool, count, k)
            count = k
        _sort(pool, count)
        for place in range(count):
            found[row, place] = pool.docs[place]
            scores[row, place] = _score(np.uint32(pool.keys[place] >> HALF))
