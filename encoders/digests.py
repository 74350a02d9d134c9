"""SHA-256 of a model's files, read once a process."""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from encoders.loading import loading

MODEL_SUFFIXES = frozenset({".safetensors", ".json", ".txt", ".model", ".bin", ".py"})
"""What decides the vectors: weights, configuration, tokenizer, code; a README does not."""

COMMIT = re.compile(r"[0-9a-f]{40}")


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


def model_digest(
    kind: str, model: str, revision: str | None, names: Sequence[str] = ("config.json",)
) -> str:
    """A folder's SHA-256, or the hub id with the commit that *revision* stands for there.

    kind: the word for the model in messages. names: files, of which the hub must have one; from
    the hub or its local cache.
    """
    if Path(model).is_dir():
        return folder_digest(Path(model))
    if revision and COMMIT.fullmatch(revision):
        return f"{model}@{revision}"
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    with loading(kind, model):
        for name in names:
            try:
                path = hf_hub_download(model, name, revision=revision)
                break
            except EntryNotFoundError:
                if name == names[-1]:
                    raise
    return f"{model}@{Path(path).parent.name}"
