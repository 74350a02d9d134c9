"""Files of embeddings by text hash: written whole once, never changed, checked when opened.

    retrieval-bench embeddings 1 SHA256-OF-ALL-THAT-FOLLOWS
    {"encoder": ..., "side": ..., "kind": ..., "texts": ..., ...}
    keys      16 bytes a text
    counts    uint32, vectors a text; only where kind is "tokens"
    vectors   (n_vectors, dimension), at a multiple of 64 bytes, so that it can be mapped

A folder of them belongs to one encoder, side and kind. A file appears by os.replace under a
name made from its checksum, so any number of processes can add to a folder at once.
"""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qrels.content import used

FORMAT = 1
MAGIC = f"retrieval-bench embeddings {FORMAT} ".encode()
KEY_BYTES = 16
ALIGNMENT = 64
SUFFIX = ".emb"
HEADER = 1 << 16

Keys = NDArray[np.uint64]
"""(n_texts, 2): the hash of each text."""

Places = NDArray[np.int32]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """Whose vectors a folder holds; dtype is how they are stored, "<f4" or "<f2"."""

    encoder: str
    side: str
    kind: str
    dtype: str


@dataclass(frozen=True)
class Segment:
    """Some texts' vectors; ends is int64 (n_texts,) for token vectors, else None.

    vectors: (n_texts, dimension), or (n_tokens, dimension) where text i has the rows from
    ends[i - 1] to ends[i]. path is None where the file could not be written.
    """

    keys: Keys
    vectors: NDArray[Any]  # float32 or float16, as stored
    ends: NDArray[np.int64] | None
    encode_ns: int
    path: Path | None = None


def text_keys(texts: Iterable[str]) -> Keys:
    """The 16 bytes that stand for each text, as two numbers."""
    raw = bytearray()
    for text in texts:
        raw += blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()
    return np.frombuffer(raw, "<u8").reshape(-1, 2)


def distinct(keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Where each key stands first, ascending; for every key the number of its own among those.

    The second is None where all keys differ.
    """
    order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable
    new = np.ones(len(keys), np.bool_)
    new[1:] = (keys[order[1:]] != keys[order[:-1]]).any(axis=1)
    if new.all():
        return np.arange(len(keys)), None
    firsts = order[new]
    ranks = np.argsort(np.argsort(firsts))
    which = np.empty(len(keys), np.int64)
    which[order] = ranks[np.cumsum(new) - 1]
    return np.sort(firsts), which


def write_segment(
    folder: Path, identity: Identity, segment: Segment, parts: Sequence[NDArray[Any]] = ()
) -> Segment:
    """The same segment, now in a file and mapped from it. Raises OSError where it cannot be.

    parts: its vectors in pieces, where those of the segment are not meant.
    """
    pieces = [np.ascontiguousarray(p, identity.dtype) for p in parts or [segment.vectors]]
    counts = b"" if segment.ends is None else np.diff(segment.ends, prepend=0).astype("<u4")
    header = {
        **vars(identity), "texts": len(segment.keys), "rows": sum(map(len, pieces)),
        "dimension": pieces[0].shape[1], "encode_ns": segment.encode_ns,
    }  # fmt: skip
    start = json.dumps(header).encode()
    index = np.ascontiguousarray(segment.keys, "<u8").tobytes() + bytes(counts)
    used = len(MAGIC) + 65 + len(start) + 1 + len(index)
    head = start + b" " * (-used % ALIGNMENT) + b"\n" + index
    body: list[bytes | memoryview] = [head, *(p.data.cast("B") for p in pieces if p.size)]
    checksum = hashlib.sha256()
    for piece in body:
        checksum.update(piece)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{checksum.hexdigest()[:32]}{SUFFIX}"
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
    first = MAGIC + checksum.hexdigest().encode() + b"\n"
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines((first, *body))
        os.replace(temporary, path)  # noqa: PTH105 - the name is a str
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    with suppress(OSError):  # else another process has merged it already
        return _mapped(path, header, len(first) + len(head) - len(index))
    return segment


def read_segment(path: Path, identity: Identity) -> Segment | None:
    """The segment in a file, or None where it is gone, damaged, or of another format or identity.

    A damaged file is removed.
    """
    try:
        with path.open("rb") as file:
            first = file.readline(len(MAGIC) + 65)
            if not first.startswith(MAGIC):
                return None
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
            if first[len(MAGIC) :] != checksum.encode() + b"\n":
                logger.warning("%s: damaged embeddings, will be encoded again", path)
                path.unlink(missing_ok=True)
                return None
            file.seek(len(first))
            header = json.loads(file.readline())
            if any(header[name] != value for name, value in vars(identity).items()):
                return None
            used(path)
            return _mapped(path, header, file.tell())
    except OSError as error:
        logger.debug("%s: %s", path, error)
        return None


def checks_out(path: Path) -> bool:
    """Whether a file of embeddings is whole, whoever's they are."""
    try:
        with path.open("rb") as file:
            first = file.readline(len(MAGIC) + 65)
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return False
    return first == MAGIC + checksum.encode() + b"\n"


def made_by(path: Path) -> str:
    """The encoder's digest in a file's header, "" where there is none."""
    try:
        with path.open("rb") as file:
            file.readline(len(MAGIC) + 65)
            return str(json.loads(file.readline(HEADER))["encoder"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _mapped(path: Path, header: dict[str, Any], start: int) -> Segment:  # JSON values
    """The segment of a file whose checksum holds; its payload starts at byte *start*."""
    data = np.memmap(path, np.uint8, "r")
    texts, rows, dimension = header["texts"], header["rows"], header["dimension"]
    keys = data[start : start + texts * KEY_BYTES].tobytes()
    start += len(keys)
    ends = None
    if header["kind"] == "tokens":
        ends = np.cumsum(data[start : start + 4 * texts].view("<u4"), dtype=np.int64)
        start += 4 * texts
    vectors = np.asarray(data)[start:].view(header["dtype"]).reshape(rows, dimension)
    return Segment(
        np.frombuffer(keys, "<u8").reshape(-1, 2), vectors, ends, header["encode_ns"], path
    )


def vectors_of(segment: Segment, row: int) -> NDArray[Any]:  # as stored
    """The vectors of one text, (n, dimension)."""
    if segment.ends is None:
        return segment.vectors[row : row + 1]
    start = segment.ends[row - 1] if row else 0
    return segment.vectors[start : segment.ends[row]]


class Store:
    """The segments of one folder, each opened and checked once; finds texts by their keys.

    It takes 24 bytes a text beside the mapped files.
    """

    def __init__(self, folder: Path, identity: Identity) -> None:
        self.folder = folder
        self.identity = identity
        self.segments: list[Segment] = []
        self._keys = np.empty((2, 0), np.uint64)  # ascending by the first number
        self._places = np.empty((2, 0), np.int32)  # the segment's number, and the row in it
        self._new: list[int] = []  # segments whose texts are not among `_keys` yet
        self._opened: set[str] = set()

    def find(self, keys: Keys) -> Places:
        """Where each key is, int32 (2, n_keys): number of the segment and row in it, -1 for none.

        Looks for other processes' new files where some key is not known.
        """
        self._settle()
        rows = self._rows(keys)
        if (rows < 0).any():
            self._open_new()
            self._settle()
            rows = self._rows(keys)
        found = np.full((2, len(keys)), -1, np.int32)
        found[:, rows >= 0] = self._places[:, rows[rows >= 0]]
        return found

    def add(self, segment: Segment, parts: Sequence[NDArray[Any]] = ()) -> Segment:
        """Write and register a segment; one that cannot be written is kept in memory.

        Raises OSError after registering it, so that nothing encoded is lost.
        """
        try:
            segment = write_segment(self.folder, self.identity, segment, parts)
        finally:
            if segment.path is not None or not parts:
                self._register(segment)
        return segment

    def merge(self, segments: Sequence[Segment]) -> None:
        """Replace written segments by one file with all their texts in the same order."""
        keys = np.concatenate([segment.keys for segment in segments])
        firsts, which = distinct(keys)
        parts = [segment.vectors for segment in segments]
        ends = None
        if self.identity.kind == "tokens" or which is not None:
            texts = [(part, row) for part in segments for row in range(len(part.keys))]
            parts = [vectors_of(*texts[place]) for place in firsts]
        if self.identity.kind == "tokens":
            ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        spent = sum(segment.encode_ns for segment in segments)
        merged = self.add(Segment(keys[firsts], parts[0], ends, spent), parts)
        for segment in segments:
            if segment.path is not None and segment.path != merged.path:
                with suppress(OSError):  # still mapped on Windows, or gone already
                    segment.path.unlink()
        self._settle()
        gone = {id(segment) for segment in segments} - {id(merged)}
        for number, segment in enumerate(self.segments):
            if id(segment) in gone:  # nothing is found there any more
                self.segments[number] = replace(segment, vectors=np.empty((0, 0)), path=None)

    def small(self, texts: int) -> list[Segment]:
        """The segments in use that hold fewer than *texts* texts and have files."""
        self._settle()
        found = (self.segments[number] for number in np.unique(self._places[0]))
        return [part for part in found if part.path is not None and len(part.keys) < texts]

    def _rows(self, keys: Keys) -> NDArray[np.int64]:
        """int64 (n_keys,): where each is among `_keys`, -1 for none."""
        first, second = self._keys
        places = np.searchsorted(first, keys[:, 0])
        found = np.full(len(keys), -1, np.int64)
        looking = np.arange(len(keys))
        while len(looking):  # more than once only where the first 8 bytes of two texts are equal
            looking = looking[places[looking] < len(first)]
            looking = looking[first[places[looking]] == keys[looking, 0]]
            here = second[places[looking]] == keys[looking, 1]
            found[looking[here]] = places[looking[here]]
            looking = looking[~here]
            places[looking] += 1
        return found

    def _open_new(self) -> None:
        try:
            names = sorted(p.name for p in self.folder.iterdir() if p.suffix == SUFFIX)
        except OSError:
            return
        for name in names:
            if name not in self._opened:
                segment = read_segment(self.folder / name, self.identity)
                if segment is not None:
                    self._register(segment)

    def _register(self, segment: Segment) -> None:
        self._new.append(len(self.segments))
        self.segments.append(segment)
        if segment.path is not None:
            self._opened.add(segment.path.name)

    def _settle(self) -> None:
        """Let the texts of new segments be found in them, also those that were found elsewhere."""
        if not self._new:
            return
        counts = [len(self.segments[number].keys) for number in self._new]
        keys = np.concatenate([self.segments[number].keys for number in self._new])
        rows = np.concatenate([np.arange(count, dtype=np.int32) for count in counts])
        places = np.stack([np.repeat(np.array(self._new, np.int32), counts), rows])
        self._new = []
        order = np.lexsort(keys.T[::-1])
        last = np.ones(len(order), np.bool_)
        last[:-1] = (keys[order[1:]] != keys[order[:-1]]).any(axis=1)
        keys, places = keys[order[last]], places[:, order[last]]
        known = self._rows(keys)
        self._places[:, known[known >= 0]] = places[:, known >= 0]
        at = np.searchsorted(self._keys[0], keys[known < 0, 0])
        self._keys = np.insert(self._keys, at, keys[known < 0].T, axis=1)
        self._places = np.insert(self._places, at, places[:, known < 0], axis=1)
