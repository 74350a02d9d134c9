"""Compiled: UTF-8 checked and hashed."""

import numpy as np

from qrels.compiled import compiled
from qrels.eight import N, load

REFUSED = -1
"""What the loops give for anything unusual; whoever calls them turns to an exact reader."""

_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF, _BYTE = np.uint64(32), np.uint64(8)


@compiled
def character(data: N, at: N, end: N) -> N:
    """The length of the character of several bytes at *at*, or REFUSED where it is none."""
    c = data[at]
    if 0xC2 <= c < 0xE0:
        n, low, high = 2, 0x80, 0xBF
    elif 0xE0 <= c < 0xF0:
        n, low, high = 3, 0xA0 if c == 0xE0 else 0x80, 0x9F if c == 0xED else 0xBF
    elif 0xF0 <= c < 0xF5:
        n, low, high = 4, 0x90 if c == 0xF0 else 0x80, 0x8F if c == 0xF4 else 0xBF
    else:
        return REFUSED
    if at + n > end or data[at + 1] < low or data[at + 1] > high:
        return REFUSED
    for i in range(at + 2, at + n):
        if data[i] & 0xC0 != 0x80:
            return REFUSED
    return n


@compiled
def hashed(data: N, start: N, stop: N) -> N:
    """A 64-bit hash of data[start:stop]; equal bytes have equal hashes, nothing more is used."""
    found = np.uint64(stop - start) * _MIX
    while start + 8 <= stop:
        found = (found ^ load(data, start)) * _MIX
        found ^= found >> _HALF
        start += 8
    rest = np.uint64(0)
    while start < stop:
        rest = (rest << _BYTE) | np.uint64(data[start])
        start += 1
    found = (found ^ rest) * _MIX
    return found ^ (found >> np.uint64(29))


@compiled
def join(left: N, starts: N, right: N, more: N, out: N, offsets: N) -> N:
    """Fill *out* with the rows of two columns, side by side, a space between where both are."""
    for row in range(len(starts) - 1):
        to, first, second = offsets[row], starts[row], more[row]
        size, added = starts[row + 1] - first, more[row + 1] - second
        out[to : to + size] = left[first : first + size]
        if size and added:
            out[to + size] = 32
            size += 1
        out[to + size : to + size + added] = right[second : second + added]
