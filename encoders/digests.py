"""SHA-256 of a model's files, read once a process."""

import hashlib
from functools import lru_cache
from pathlib import Path

MODEL_SUFFIXES = frozenset({".safetensors", ".json", ".txt", ".model", ".bin", ".py"})
"""What decides the vectors: weights, configuration, tokenizer, code; a README does not."""


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    status = path.stat()
    return _file_digest(path.resolve(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _file_digest(path: Path, size: int, modified_ns: int) -> str:  # noqa: ARG001 - they are the key
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """The SHA-256 over names and contents of a model folder's files."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in MODEL_SUFFIXES)
    lines = [f"{path.relative_to(folder).as_posix()} {file_digest(path)}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
