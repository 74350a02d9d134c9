"""Checks of what is kept on disk: embeddings and saved indexes."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.lint.findings import Check, Found
from encoders.segments import FORMAT, MAGIC, SUFFIX
from qrels.saved import INDEX

HEADER = 1 << 16


def foreign_vectors(cache: Path) -> Iterator[Found]:
    """A file of embeddings whose own header names another encoder, side or kind than its folder.

    The header alone is read; a cached vector is used only after its whole file is checked.
    """
    wrong = [
        path for path in sorted(cache.glob(f"embeddings-{FORMAT}/*/*/*{SUFFIX}")) if not _fits(path)
    ]
    if wrong:
        yield (
            "warning",
            f"{len(wrong)} files of embeddings are of other settings than their folder, or cannot "
            f"be read: {wrong[0]} for one",
        )


def _fits(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            if not file.readline(HEADER).startswith(MAGIC):
                return False
            header = json.loads(file.readline(HEADER))
        owner = hashlib.sha256(header["encoder"].encode()).hexdigest()[:32]
        folders = (owner, f"{header['side']}-{header['kind']}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return path.parts[-3:-1] == folders


def broken_indexes(cache: Path) -> Iterator[Found]:
    wrong = [path for path in sorted(cache.glob(f"indexes/*/*/{INDEX}")) if not _whole(path)]
    if wrong:
        yield "warning", f"{len(wrong)} saved indexes are not whole: {wrong[0].parent} for one"


def _whole(path: Path) -> bool:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        return all((path.parent / f"{name}.npy").is_file() for name in about["arrays"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


CACHE: Sequence[Check[Path]] = (
    Check(
        "C1", "cached embeddings that come from other settings than their place says",
        "delete the file: it is never used, and what it should hold is encoded each time",
        foreign_vectors,
    ),
    Check(
        "C2", "a saved index with parts missing",
        "delete its folder, and build it again with `bench index`", broken_indexes,
    ),
)  # fmt: skip
