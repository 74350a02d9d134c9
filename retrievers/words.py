"""Compiled: words out of UTF-8 into numbers, and numbers into postings.

Importing this takes numba, up to half a second: only what reads much text does so.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.compiled import compiled, inlined
from qrels.eight import load, lowest

MIX = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio: multiplicative hashing, Knuth 1998, volume 3, section 6.4."""

BYTE, HALF, LOW = np.uint64(8), np.uint64(32), np.uint64(0xFFFFFFFF)
ZERO, ONE = np.uint64(0), np.uint64(1)
ONES, HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)


class Store(NamedTuple):
    """Distinct words, in order of appearance, and an open-addressing table that finds them.

    slots: uint64 (a power of two,), 0 or the lower half of a hash and the word's number + 1; at
    most half are taken. letters: uint64, the UTF-8 of each word, eight bytes together, the first
    lowest, filled up with zeros; bounds: int64 (capacity + 1,), where a word starts in them.
    """

    slots: NDArray[np.uint64]
    bounds: NDArray[np.int64]
    letters: NDArray[np.uint64]


class Words:
    """The distinct words read so far; `read` adds to them. fold: see `tokenise.folded`."""

    def __init__(self, fold: NDArray[np.uint32]) -> None:
        self._fold = fold
        self._ascii = bytes([*fold[:128].tolist(), *range(128, 256)])
        self._store = _room(2**12, 2**13)
        self._count = 0

    def read(self, texts: bytes, offsets: NDArray[np.int64]) -> tuple[Any, Any]:
        """The words of many texts as numbers: indptr int64 (n_texts + 1,), int32 (n_tokens,).

        texts: whole UTF-8; offsets: int64 (n_texts + 1,), where each starts.
        """
        text = np.frombuffer(texts.translate(self._ascii) + bytes(8), np.uint8)
        numbers = np.empty(len(text) // 2 + 1, np.int32)
        indptr = np.zeros(len(offsets), np.int64)
        done = 0
        while True:
            done, self._count = _scan(
                text, offsets, self._fold, *self._store, self._count, numbers, indptr, done
            )
            if done == len(offsets) - 1:
                return indptr, numbers[: indptr[-1]]
            self._store = _grown(self._store, self._count, int(offsets[done + 1] - offsets[done]))

    def spelled(self, start: int) -> list[str]:
        """The words from number *start* on."""
        bounds = self._store.bounds[start : self._count + 1]
        letters = self._store.letters[bounds[0] : bounds[-1]].astype("<u8").tobytes()
        places = (8 * (bounds - bounds[0])).tolist()
        return [letters[i:j].rstrip(b"\0").decode() for i, j in pairwise(places)]


def _room(words: int, letters: int) -> Store:
    slots = 1 << (2 * words - 1).bit_length()
    bounds = np.empty(words + 1, np.int64)
    bounds[0] = 0
    return Store(np.zeros(slots, np.uint64), bounds, np.empty(letters, np.uint64))


def _grown(old: Store, count: int, size: int) -> Store:
    """Twice the room, or more where a text of *size* bytes needs it."""
    new = _room(2 * len(old.bounds) + size, 2 * len(old.letters) + size)
    used = old.bounds[count]
    new.bounds[: count + 1] = old.bounds[: count + 1]
    new.letters[:used] = old.letters[:used]
    _enter(*new, count)
    return new


@compiled
def _enter(slots: Any, bounds: Any, letters: Any, count: Any) -> None:
    """Put the first *count* words, all distinct, into empty slots."""
    for word in range(count):
        hashed = ZERO
        for i in range(bounds[word], bounds[word + 1]):
            hashed = _mixed(hashed, letters[i])
        slot = hashed >> HALF & np.uint64(len(slots) - 1)
        while slots[slot]:
            slot = (slot + ONE) & np.uint64(len(slots) - 1)
        slots[slot] = (hashed << HALF) | np.uint64(word + 1)


@compiled
def _scan(
    text: Any,
    offsets: Any,
    fold: Any,
    slots: Any,
    bounds: Any,
    letters: Any,
    count: Any,
    numbers: Any,
    indptr: Any,
    done: Any,
) -> Any:
    """Number the words of the texts from *done* on; the texts and the words that there are then.

    Stops before a text for whose words there might be no room. A word is spelled at the end of
    *letters*, where it stays if it is new.
    """
    found = indptr[done]
    for at in range(done, len(offsets) - 1):
        i, end = offsets[at], offsets[at + 1]
        most = (end - i) // 2 + 1
        if bounds[count] + 2 * most > len(letters) or count + most >= len(bounds):
            return at, count
        while i < end:
            start, size, hashed = i, bounds[count], ZERO
            n = np.int64(8)
            while n == 8:
                eight = load(text, i)
                zeros = (eight - ONES) & ~eight & HIGH
                n = min(np.int64(lowest(zeros)) if zeros else n, end - i)
                if n < 8:
                    eight &= (ONE << np.uint64(8 * n)) - ONE
                if eight & HIGH:
                    break
                if n:
                    letters[size] = eight
                    size += 1
                    hashed = _mixed(hashed, eight)
                i += n
            length = i - start
            i += 1
            if eight & HIGH:
                i, length, size, hashed = _beyond_ascii(
                    text, start, end, fold, letters, bounds[count]
                )
            if length < 2:
                continue
            number = _find(slots, bounds, letters, count, size, hashed)
            if number == count:
                count += 1
                bounds[count] = size
            numbers[found] = number
            found += 1
        indptr[at + 1] = found
    return len(offsets) - 1, count


@compiled
def _beyond_ascii(text: Any, i: Any, end: Any, fold: Any, letters: Any, size: Any) -> Any:
    """Spell the word at *i* into *letters* from *size* on, a character at a time.

    Where the next may start, its length in characters, where its letters end, and its hash.
    """
    length, hashed, eight, shift = 0, ZERO, ZERO, ZERO
    while i < end:
        letter, i = _letter(text, i, fold)
        if letter == ZERO:
            break
        length += 1
        while letter:
            eight |= (letter & np.uint64(0xFF)) << shift
            letter >>= BYTE
            shift += BYTE
            if shift == np.uint64(64):
                letters[size] = eight
                size += 1
                hashed = _mixed(hashed, eight)
                eight, shift = ZERO, ZERO
    if shift:
        letters[size] = eight
        size += 1
        hashed = _mixed(hashed, eight)
    return i, length, size, hashed


@compiled
def _letter(text: Any, i: Any, fold: Any) -> Any:
    """The folded code point at *i*, and where the next one starts."""
    point = np.int64(text[i])
    if point < 0x80:
        return np.uint64(fold[point]), i + 1
    if point < 0xE0:
        point = (point & 0x1F) << 6 | (text[i + 1] & 0x3F)
        return np.uint64(fold[point]), i + 2
    point = (point & 0xF) << 12 | np.int64(text[i + 1] & 0x3F) << 6 | (text[i + 2] & 0x3F)
    if text[i] < 0xF0:
        return np.uint64(fold[point]), i + 3
    point = np.int64(text[i] & 0x7) << 18 | (point & 0xFFF) << 6 | (text[i + 3] & 0x3F)
    return np.uint64(fold[point] if point < len(fold) else np.uint32(0)), i + 4


@compiled
def _mixed(hashed: Any, eight: Any) -> Any:
    product = (hashed ^ eight) * MIX
    return product ^ (product >> HALF)


@inlined
def _find(slots: Any, bounds: Any, letters: Any, count: Any, size: Any, hashed: Any) -> Any:
    """The number of the word from bounds[count] to *size*: *count*, now entered, if it is new."""
    slot = hashed >> HALF & np.uint64(len(slots) - 1)
    start = bounds[count]
    while slots[slot]:
        if slots[slot] >> HALF == hashed & LOW:
            number = np.int64(slots[slot] & LOW) - 1
            other, i = bounds[number], start
            if bounds[number + 1] - other == size - start:
                while i < size and letters[i] == letters[other + i - start]:
                    i += 1
                if i == size:
                    return number
        slot = (slot + ONE) & np.uint64(len(slots) - 1)
    slots[slot] = (hashed << HALF) | np.uint64(count + 1)
    return count


@compiled
def renumber(indptr: Any, words: Any, number_of: Any) -> None:
    """In place: words (n_tokens,) in other numbers, those whose number is negative left out."""
    kept, start = 0, 0
    for at in range(len(indptr) - 1):
        end = indptr[at + 1]
        for i in range(start, end):
            number = number_of[words[i]]
            if number >= 0:
                words[kept] = number
                kept += 1
        start = end
        indptr[at + 1] = kept


@compiled
def count_documents(indptr: Any, terms: Any, n_terms: Any) -> Any:
    """int64 (n_terms,): in how many documents each term is."""
    found = np.zeros(n_terms, np.int64)
    last = np.full(n_terms, -1, np.int32)
    for doc in range(len(indptr) - 1):
        for i in range(indptr[doc], indptr[doc + 1]):
            term = terms[i]
            if last[term] != doc:
                last[term] = doc
                found[term] += 1
    return found


@compiled
def fill(indptr: Any, terms: Any, free: Any, docs: Any, frequencies: Any) -> None:
    """Write each document into the postings of its terms; free: where a term's next one goes."""
    last = np.full(len(free), -1, np.int32)
    for doc in range(len(indptr) - 1):
        for i in range(indptr[doc], indptr[doc + 1]):
            term = terms[i]
            if last[term] == doc:
                frequencies[free[term] - 1] += 1
            else:
                last[term] = doc
                docs[free[term]], frequencies[free[term]] = doc, 1
                free[term] += 1
