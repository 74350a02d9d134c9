"""Files appear whole or not at all."""

import contextlib
import os
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write *content* to *path*, its folders made, through a temporary file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
