"""Compiled: JSON lines into columns of UTF-8, eight bytes at a time within strings.

What is regular is taken, all else refused: what these loops accept, Python's json accepts, and
with the same values.
"""

import numpy as np

from qrels.compiled import compiled
from qrels.eight import N, load, lowest, store
from qrels.scan_text import REFUSED, character, hashed

_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_QUOTES = np.uint64(0x2222222222222222)
_BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_BLANKS = np.uint64(0x2020202020202020)
_ONE = np.uint64(1)

_DEPTH = 60
_LONGEST_NUMBER = 300

_QUOTE, _BACKSLASH, _SLASH, _COMMA, _COLON, _NEWLINE = 34, 92, 47, 44, 58, 10
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = 123, 125, 91, 93
_MINUS, _PLUS, _POINT, _ZERO, _NINE = 45, 43, 46, 48, 57
_N = 110


@compiled
def _hex(data: N, at: N, end: N) -> N:
    """The value of four hexadecimal digits, or REFUSED."""
    if at + 4 > end:
        return REFUSED
    found = np.int64(0)
    for i in range(at, at + 4):
        c = np.int64(data[i])
        if _ZERO <= c <= _NINE:
            digit = c - 48
        elif 97 <= c <= 102:
            digit = c - 87
        elif 65 <= c <= 70:
            digit = c - 55
        else:
            return REFUSED
        found = found * 16 + digit
    return found


@compiled
def _put(out: N, to: N, code: N) -> N:
    """Write a code point as UTF-8; where the next byte goes."""
    if code < 0x80:
        out[to] = code
        return to + 1
    if code < 0x800:
        out[to], out[to + 1] = 0xC0 | (code >> 6), 0x80 | (code & 63)
        return to + 2
    if code < 0x10000:
        out[to], out[to + 1] = 0xE0 | (code >> 12), 0x80 | ((code >> 6) & 63)
        out[to + 2] = 0x80 | (code & 63)
        return to + 3
    out[to], out[to + 1] = 0xF0 | (code >> 18), 0x80 | ((code >> 12) & 63)
    out[to + 2], out[to + 3] = 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)
    return to + 4


@compiled
def _escape(data: N, at: N, end: N, out: N, to: N) -> N:
    """Undo the escape after a backslash at *at*: (next of data, next of out), or REFUSED."""
    if at + 1 >= end:
        return REFUSED, to
    c = data[at + 1]
    if c == 117:  # u
        code = _hex(data, at + 2, end)
        at += 6
        if 0xD800 <= code < 0xDC00 and at + 1 < end and data[at] == 92 and data[at + 1] == 117:
            other = _hex(data, at + 2, end)
            if not 0xDC00 <= other < 0xE000:
                return REFUSED, to
            code, at = 0x10000 + ((code - 0xD800) << 10) + (other - 0xDC00), at + 6
        if code < 0 or 0xD800 <= code < 0xE000:  # half a pair
            return REFUSED, to
        return at, _put(out, to, code)
    if c in (_QUOTE, _BACKSLASH, _SLASH):
        out[to] = c
    elif c == 110:
        out[to] = 10
    elif c == 116:
        out[to] = 9
    elif c == 114:
        out[to] = 13
    elif c == 98:
        out[to] = 8
    elif c == 102:
        out[to] = 12
    else:
        return REFUSED, to
    return at + 2, to + 1


@compiled
def _string(data: N, at: N, end: N, out: N, to: N) -> N:
    """Copy the string whose quote is before *at*: (after its end, next of out), or REFUSED."""
    while at < end:
        if at + 8 <= end:
            word = load(data, at)
            store(out, to, word)
            quotes, slashes = word ^ _QUOTES, word ^ _BACKSLASHES
            stops = ((quotes - _ONES) & ~quotes) | ((slashes - _ONES) & ~slashes)
            stops = (stops | ((word - _BLANKS) & ~word) | word) & _HIGH
            if stops == 0:
                at, to = at + 8, to + 8
                continue
            step = lowest(stops)
            at, to = at + step, to + step
        c = data[at]
        if c == _QUOTE:
            return at + 1, to
        if c == _BACKSLASH:
            at, to = _escape(data, at, end, out, to)
            if at == REFUSED:
                return REFUSED, to
        elif c < 0x20:
            return REFUSED, to
        elif c < 0x80:
            out[to] = c
            at, to = at + 1, to + 1
        else:
            n = character(data, at, end)
            if n == REFUSED:
                return REFUSED, to
            for i in range(n):
                out[to + i] = data[at + i]
            at, to = at + n, to + n
    return REFUSED, to


@compiled
def _blank(data: N, at: N, end: N) -> N:
    """The next place that holds no white space within a line."""
    while at < end and (data[at] == 32 or data[at] == 9 or data[at] == 13):
        at += 1
    return at


@compiled
def _digits(data: N, at: N, end: N) -> N:
    while at < end and _ZERO <= data[at] <= _NINE:
        at += 1
    return at


@compiled
def _number(data: N, at: N, end: N) -> N:
    """After a JSON number of no unusual length, or REFUSED."""
    start = at
    if at < end and data[at] == _MINUS:
        at += 1
    first, at = at, _digits(data, at, end)
    if at == first or (data[first] == _ZERO and at > first + 1):
        return REFUSED
    if at < end and data[at] == _POINT:
        first, at = at + 1, _digits(data, at + 1, end)
        if at == first:
            return REFUSED
    if at < end and (data[at] == 101 or data[at] == 69):
        at += 1
        if at < end and (data[at] == _MINUS or data[at] == _PLUS):
            at += 1
        first, at = at, _digits(data, at, end)
        if at == first:
            return REFUSED
    return at if at - start <= _LONGEST_NUMBER else REFUSED


@compiled
def _word(data: N, at: N, end: N) -> N:
    """After true, false or null, or REFUSED; NaN and Infinity are left to others."""
    if at + 4 > end:
        return REFUSED
    a, b, c, d = data[at], data[at + 1], data[at + 2], data[at + 3]
    if a == 116 and b == 114 and c == 117 and d == 101:
        return at + 4
    if a == 110 and b == 117 and c == 108 and d == 108:
        return at + 4
    if a == 102 and b == 97 and c == 108 and d == 115 and at + 4 < end and data[at + 4] == 101:
        return at + 5
    return REFUSED


@compiled
def _key(data: N, at: N, end: N, out: N, to: N) -> N:
    """After the key and colon that start at *at*, or REFUSED."""
    at = _blank(data, at, end)
    if at >= end or data[at] != _QUOTE:
        return REFUSED
    at, _ = _string(data, at + 1, end, out, to)
    if at == REFUSED:
        return REFUSED
    at = _blank(data, at, end)
    return at + 1 if at < end and data[at] == _COLON else REFUSED


@compiled
def _value(data: N, at: N, end: N, out: N, to: N) -> N:
    """After the JSON value that starts at *at*, or REFUSED; *out* from *to* on is scribbled on."""
    depth, objects = 0, np.uint64(0)
    while True:
        at = _blank(data, at, end)
        if at >= end:
            return REFUSED
        c = data[at]
        if c == _QUOTE:
            at, _ = _string(data, at + 1, end, out, to)
        elif c in (_OPEN, _OPEN_LIST):
            depth += 1
            if depth > _DEPTH:
                return REFUSED
            objects = (objects << _ONE) | np.uint64(c == _OPEN)
            at = _blank(data, at + 1, end)
            if at >= end:
                return REFUSED
            if data[at] == (_CLOSE if c == _OPEN else _CLOSE_LIST):
                at, depth, objects = at + 1, depth - 1, objects >> _ONE
            else:
                if c == _OPEN:
                    at = _key(data, at, end, out, to)
                    if at == REFUSED:
                        return REFUSED
                continue
        elif c == _MINUS or _ZERO <= c <= _NINE:
            at = _number(data, at, end)
        else:
            at = _word(data, at, end)
        if at == REFUSED:
            return REFUSED
        while depth:  # what comes after a value
            at = _blank(data, at, end)
            if at >= end:
                return REFUSED
            inside = objects & _ONE
            if data[at] == _COMMA:
                at += 1
                if inside:
                    at = _key(data, at, end, out, to)
                    if at == REFUSED:
                        return REFUSED
                break
            if data[at] != (_CLOSE if inside else _CLOSE_LIST):
                return REFUSED
            at, depth, objects = at + 1, depth - 1, objects >> _ONE
        else:
            return at


@compiled
def _which(data: N, start: N, stop: N, keys: N, lengths: N) -> N:
    """The number of the wanted key that data[start:stop] is, else how many are wanted."""
    for number in range(len(lengths)):
        if lengths[number] == stop - start:
            same = True
            for i in range(lengths[number]):
                same &= data[start + i] == keys[number, i]
            if same:
                return number
    return len(lengths)


@compiled
def json_lines(
    data: N, end: N, keys: N, lengths: N, kinds: N, out: N, stride: N, ends: N, hashes: N, seen: N
) -> N:
    """The wanted values of each line, one column after another; how many rows, or REFUSED.

    data: uint8, whole lines, of which [0, end) count; keys: uint8 (n, width), lengths: int64
    (n,), the first of them the id; kinds: int64 (n,), 0 for a string that must be there, 1 for a
    string, null or nothing, 2 for any value, which is copied as JSON. out: uint8, a part of
    *stride* bytes for each key and one more, filled with UTF-8; ends: int64 (n, rows), where
    each row's value ends in its part; hashes: uint64 (rows,), of the ids; seen: int64 (n,), in
    how many lines each key was.
    """
    wanted = len(lengths)
    to = np.zeros(wanted, np.int64)
    got = np.zeros(wanted + 1, np.int64)  # the last row, plus 1, with the key
    scrap, at, row = wanted * stride, 0, 0
    while at < end:
        at = _blank(data, at, end)
        if at >= end:
            break
        if data[at] == _NEWLINE:
            at += 1
            continue
        if data[at] != _OPEN or row >= ends.shape[1]:
            return REFUSED
        row += 1
        at = _blank(data, at + 1, end)
        if at < end and data[at] == _CLOSE:
            return REFUSED
        while True:
            at = _blank(data, at, end)
            if at >= end or data[at] != _QUOTE:
                return REFUSED
            start = at + 1
            at, stop = _string(data, start, end, out, scrap)
            if at == REFUSED or stop - scrap != at - 1 - start:  # keys with escapes
                return REFUSED
            number = _which(data, start, at - 1, keys, lengths)
            at = _blank(data, at, end)
            if at >= end or data[at] != _COLON:
                return REFUSED
            at = _blank(data, at + 1, end)
            if at >= end or (number < wanted and got[number] == row):  # twice
                return REFUSED
            if number < wanted and kinds[number] < 2 and data[at] == _QUOTE:
                at, stop = _string(data, at + 1, end, out, number * stride + to[number])
                to[number] = stop - number * stride
            else:
                if number < wanted and (
                    kinds[number] == 0 or (kinds[number] == 1 and data[at] != _N)
                ):
                    return REFUSED
                start, at = at, _value(data, at, end, out, scrap)
                if at != REFUSED and number < wanted and kinds[number] == 2:
                    base = number * stride + to[number]
                    for i in range(at - start):
                        out[base + i] = data[start + i]
                    to[number] += at - start
            if at == REFUSED:
                return REFUSED
            if number < wanted:
                got[number] = row
                seen[number] += 1
            at = _blank(data, at, end)
            if at >= end:
                return REFUSED
            at += 1
            if data[at - 1] == _CLOSE:
                break
            if data[at - 1] != _COMMA:
                return REFUSED
        for number in range(wanted):
            if kinds[number] == 0 and got[number] != row:
                return REFUSED
            ends[number, row - 1] = to[number]
        first = ends[0, row - 2] if row > 1 else 0
        if to[0] == first:
            return REFUSED
        hashes[row - 1] = hashed(out, first, to[0])
        at = _blank(data, at, end)
        if at < end and data[at] != _NEWLINE:
            return REFUSED
    return row
