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
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 1
MAGIC = f"retrieval-bench embeddings {FORMAT} ".encode()
KEY_BYTES = 16
ALIGNMENT = 64
SUFFIX = ".emb"

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

    keys: Sequence[bytes]
    vectors: NDArray[Any]  # float32 or float16, as stored
    ends: NDArray[np.int64] | None
    encode_ns: int
    path: Path | None = None


def text_key(text: str) -> bytes:
    """The 16 bytes that stand for a text."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def write_segment(folder: Path, identity: Identity, segment: Segment) -> Segment:
    """The same segment, now in a file and mapped from it. Raises OSError where it cannot be."""
    vectors = np.ascontiguousarray(segment.vectors, identity.dtype)
    counts = b"" if segment.ends is None else np.diff(segment.ends, prepend=0).astype("<u4")
    header = {
        **vars(identity), "texts": len(segment.keys), "rows": len(vectors),
        "dimension": vectors.shape[1], "encode_ns": segment.encode_ns,
    }  # fmt: skip
    start = json.dumps(header).encode()
    index = b"".join(segment.keys) + bytes(counts)
    used = len(MAGIC) + 65 + len(start) + 1 + len(index)
    body = (start + b" " * (-used % ALIGNMENT) + b"\n" + index, vectors.data.cast("B"))
    checksum = hashlib.sha256(body[0])
    checksum.update(body[1])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{checksum.hexdigest()[:32]}{SUFFIX}"
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines((MAGIC + checksum.hexdigest().encode() + b"\n", *body))
        os.replace(temporary, path)  # noqa: PTH105 - the name is a str
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    written = read_segment(path, identity)
    return segment if written is None else written


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
            return _mapped(path, header, file.tell())
    except OSError as error:
        logger.debug("%s: %s", path, error)
        return None


def _mapped(path: Path, header: dict[str, Any], start: int) -> Segment:  # JSON values
    """The segment of a file whose checksum holds; its payload starts at byte *start*."""
    data = np.memmap(path, np.uint8, "r")
    texts, rows, dimension = header["texts"], header["rows"], header["dimension"]
    raw = data[start : start + texts * KEY_BYTES].tobytes()
    keys = [raw[at : at + KEY_BYTES] for at in range(0, len(raw), KEY_BYTES)]
    start += len(raw)
    ends = None
    if header["kind"] == "tokens":
        ends = np.cumsum(data[start : start + 4 * texts].view("<u4"), dtype=np.int64)
        start += 4 * texts
    vectors = np.asarray(data)[start:].view(header["dtype"]).reshape(rows, dimension)
    return Segment(keys, vectors, ends, header["encode_ns"], path)


def joined(segments: Sequence[Segment]) -> Segment:
    """One segment with the texts of all of them, in order, each once."""
    first: dict[bytes, tuple[int, int]] = {}
    for number, segment in enumerate(segments):
        for row, key in enumerate(segment.keys):
            first.setdefault(key, (number, row))
    parts = [vectors_of(segments[number], row) for number, row in first.values()]
    ends = None
    if segments[0].ends is not None:
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    total = sum(segment.encode_ns for segment in segments)
    return Segment(list(first), np.concatenate(parts), ends, total)


def vectors_of(segment: Segment, row: int) -> NDArray[Any]:  # as stored
    """The vectors of one text, (n, dimension)."""
    if segment.ends is None:
        return segment.vectors[row : row + 1]
    start = segment.ends[row - 1] if row else 0
    return segment.vectors[start : segment.ends[row]]


class Store:
    """The segments of one folder, each opened and checked once; finds texts by their keys."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        self.folder = folder
        self.identity = identity
        self.segments: list[Segment] = []
        self.where: dict[bytes, tuple[int, int]] = {}  # key -> segment number, row
        self._opened: set[str] = set()

    def missing(self, keys: Iterable[bytes]) -> list[int]:
        """Which of *keys*, by number, no segment has; looks for other processes' new files."""
        keys = list(keys)
        if any(key not in self.where for key in keys):
            self._open_new()
        return [number for number, key in enumerate(keys) if key not in self.where]

    def add(self, segment: Segment) -> Segment:
        """Write and register a segment; one that cannot be written is kept in memory.

        Raises OSError after registering it, so that nothing encoded is lost.
        """
        try:
            segment = write_segment(self.folder, self.identity, segment)
        finally:
            self._register(segment)
        return segment

    def merge(self, segments: Sequence[Segment]) -> None:
        """Replace written segments by one file with all their texts in the same order."""
        self.add(joined(segments))
        for segment in segments:
            if segment.path is not None and segment.path != self.segments[-1].path:
                with suppress(OSError):  # still mapped on Windows, or gone already
                    segment.path.unlink()

    def small(self, texts: int) -> list[Segment]:
        """The segments in use that hold fewer than *texts* texts and have files."""
        used = {number for number, _ in self.where.values()}
        found = (self.segments[number] for number in sorted(used))
        return [part for part in found if part.path is not None and len(part.keys) < texts]

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
        number = len(self.segments)
        self.segments.append(segment)
        self.where.update((key, (number, row)) for row, key in enumerate(segment.keys))
        if segment.path is not None:
            self._opened.add(segment.path.name)
