"""Compiled: the lines of TREC runs into numbers, and names into their numbers."""

import numpy as np

from qrels.compiled import compiled
from qrels.eight import N, load, prefetch
from qrels.scan_text import REFUSED, character, hashed

_POWERS = np.array([10.0**e for e in range(23)])
"""The powers of ten that float64 holds exactly."""

_EXACT = 1 << 53
_DIGITS = 19
_AHEAD = 12
"""How many names ahead memory is asked for; it answers in the time that about ten take."""

_ONE, _HALF, _LOW = np.uint64(1), np.uint64(32), np.uint64(0xFFFFFFFF)
_NEWLINE, _RETURN, _TAB, _SPACE = 10, 13, 9, 32
_MINUS, _PLUS, _POINT, _ZERO, _NINE, _E, _LITTLE_E = 45, 43, 46, 48, 57, 69, 101


@compiled
def _column(data: N, at: N, end: N) -> N:
    """After the column that starts at *at*, or REFUSED where there is none or no UTF-8."""
    start = at
    while at < end:
        c = data[at]
        if c >= 0x80:
            n = character(data, at, end)
            if n == REFUSED:
                return REFUSED
            at += n
        elif c == _SPACE or _TAB <= c <= _RETURN:
            break
        else:
            at += 1
    return at if at > start else REFUSED


@compiled
def _decimal(data: N, at: N, stop: N) -> N:
    """The float32 of the text data[at:stop] by way of float64: (value, whether it is certain).

    Not certain where the text is no plain number, or where rounding might come out otherwise.
    """
    negative = data[at] == _MINUS
    if negative or data[at] == _PLUS:
        at += 1
    mantissa, exponent = np.int64(0), np.int64(0)
    digits, any_digit, fraction = 0, False, False
    while at < stop:
        c = np.int64(data[at])
        if _ZERO <= c <= _NINE:
            any_digit = True
            if digits or c != _ZERO:
                digits += 1
            if digits >= _DIGITS:
                return np.float32(0), False
            mantissa = mantissa * 10 + (c - _ZERO)
            exponent -= fraction
        elif c == _POINT and not fraction:
            fraction = True
        else:
            break
        at += 1
    if not any_digit:
        return np.float32(0), False
    if at < stop:
        if data[at] != _LITTLE_E and data[at] != _E:
            return np.float32(0), False
        at += 1
        down = at < stop and data[at] == _MINUS
        if down or (at < stop and data[at] == _PLUS):
            at += 1
        if at >= stop or at + 4 < stop:
            return np.float32(0), False
        given = np.int64(0)
        for i in range(at, stop):
            if not _ZERO <= data[i] <= _NINE:
                return np.float32(0), False
            given = given * 10 + (np.int64(data[i]) - _ZERO)
        exponent += -given if down else given
    if not -22 <= exponent <= 22:
        return np.float32(0), False
    value = np.float64(mantissa)
    value = value * _POWERS[exponent] if exponent >= 0 else value / _POWERS[-exponent]
    value = -value if negative else value
    if mantissa > _EXACT:  # off by less than 2 in the last place of 53 bits
        low, high = np.float32(value * (1 - 2.0**-50)), np.float32(value * (1 + 2.0**-50))
        if low != high:
            return np.float32(0), False
    return np.float32(value), True


@compiled
def run_lines(data: N, end: N, places: N, hashes: N, scores: N, same: N) -> N:
    """The columns of each line of a TREC run; how many rows, or REFUSED.

    data: uint8, whole lines, of which [0, end) count. places: int32 (6, rows), where the query,
    the document and the score start and stop; hashes: uint64 (2, rows), of query and document;
    scores: float32 (rows,), NaN where it has to be read otherwise; same: bool (rows,), whether
    the query is that of the row before.
    """
    at, row = 0, 0
    while at < end:
        if data[at] == _NEWLINE:
            at += 1
            continue
        if row >= len(scores):
            return REFUSED
        for column in range(6):
            start, at = at, _column(data, at, end)
            if at == REFUSED:
                return REFUSED
            if column == 0 or column == 2 or column == 4:
                places[column, row], places[column + 1, row] = start, at
            if column < 5:
                if at >= end or (data[at] != _SPACE and data[at] != _TAB):
                    return REFUSED
                at += 1
        if at < end and data[at] == _RETURN:
            at += 1
        if at < end and data[at] != _NEWLINE:
            return REFUSED
        at += 1
        first, last = places[0, row], places[1, row]
        same[row] = row > 0 and last - first == places[1, row - 1] - places[0, row - 1]
        if same[row]:
            before = places[0, row - 1] - first
            for i in range(first, last):
                if data[i] != data[i + before]:
                    same[row] = False
                    break
        hashes[0, row] = hashes[0, row - 1] if same[row] else hashed(data, first, last)
        hashes[1, row] = hashed(data, places[2, row], places[3, row])
        value, certain = _decimal(data, places[4, row], places[5, row])
        scores[row] = value if certain else np.nan
        row += 1
    return row


@compiled
def _start(data: N, at: N, stop: N) -> N:
    """Up to eight bytes of data[at:stop] as a number; eight can be read from *at* on."""
    if at >= stop:
        return np.uint64(0)
    word = load(data, at)
    return word if stop - at >= 8 else word & ((_ONE << np.uint64(8 * (stop - at))) - _ONE)


@compiled
def move_all(old: N, slots: N) -> N:
    """Fill the empty table *slots* with what is in another one."""
    mask = np.uint64(len(slots) - 1)
    for row in range(len(old)):
        if row + _AHEAD < len(old):
            prefetch(slots, np.int64(4 * (old[row + _AHEAD, 1] & mask)))
        if old[row, 0]:
            at = old[row, 1] & mask
            while slots[at, 0]:
                at = (at + _ONE) & mask
            for i in range(4):
                slots[at, i] = old[row, i]


@compiled
def intern(
    data: N, starts: N, stops: N, hashes: N, same: N,
    slots: N, letters: N, bounds: N, count: N, codes: N,
) -> N:  # fmt: skip
    """Number the names data[starts:stops] by first appearance; how many there are now.

    same: bool, whether a name is the one before. slots: uint64 (a power of two, 4), in reach of
    one look into memory: a name's number and 1 with its length in the upper half, its hash, and
    its first 16 bytes. letters, bounds: all names' bytes and where each starts. There is room in
    all. codes: int32, filled.
    """
    mask = np.uint64(len(slots) - 1)
    rows = len(codes)
    for row in range(rows):
        if row + _AHEAD < rows:
            prefetch(slots, np.int64(4 * (hashes[row + _AHEAD] & mask)))
        if same[row]:
            codes[row] = codes[row - 1]
            continue
        start, stop, own = starts[row], stops[row], hashes[row]
        size = np.uint64(stop - start)
        head, second = _start(data, start, stop), _start(data, start + 8, stop)
        at = own & mask
        while True:
            number = np.int64(slots[at, 0] & _LOW) - 1
            if number < 0:
                number, count = count, count + 1
                first = bounds[number]
                for i in range(size):
                    letters[first + i] = data[start + i]
                bounds[count] = first + np.int64(size)
                slots[at, 0], slots[at, 1] = (size << _HALF) | np.uint64(count), own
                slots[at, 2], slots[at, 3] = head, second
                break
            if (
                slots[at, 0] >> _HALF == size
                and slots[at, 1] == own
                and slots[at, 2] == head
                and slots[at, 3] == second
            ):
                equal = True
                for i in range(16, size):
                    equal &= letters[bounds[number] + i] == data[start + i]
                if equal:
                    break
            at = (at + _ONE) & mask
        codes[row] = number
    return count


@compiled
def repeats(groups: N, codes: N, last: N) -> N:
    """Whether a code is twice in a group, where the rows of a group follow each other.

    last: int32, one a code, all -1.
    """
    for row in range(len(codes)):
        if last[codes[row]] == groups[row]:
            return True
        last[codes[row]] = groups[row]
    return False
