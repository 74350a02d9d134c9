"""Locks that the kernel lets go of when their owner dies, however it dies."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Whether this process has *path*, a file or a folder, for itself until the block ends.

    False where another process has it, where the path is gone, and where the platform or the
    file system knows no such locks. A file that is not there is made.
    """
    handle = _open(path)
    try:
        yield handle is not None and _lock(handle) and _same(handle, path)
    finally:
        if handle is not None:
            os.close(handle)


def _open(path: Path) -> int | None:
    try:
        flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
        return os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o644)
    except OSError:
        return None


def _lock(handle: int) -> bool:
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def _same(handle: int, path: Path) -> bool:
    """Whether what was locked is still what the path names; its last owner may have removed it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False
