"""Where results go: a folder that appears whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qrels.errors import UsageError

OURS = frozenset({"record.json", "report.md", "per_query.csv", "plots", "runs"})
"""What a result folder holds; only a folder of these alone is ever replaced."""


def check_target(target: Path) -> None:
    """UsageError where *target* holds something other than an earlier result."""
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file; --out wants a folder")
    if target.is_dir():
        others = sorted({path.name for path in target.iterdir()} - OURS)
        if others:
            raise UsageError(
                f"{target} holds {others[0]!r}; --out wants a new, an empty or a result folder"
            )


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder beside *target* to write into, which takes its place once the block is done.

    An earlier result there is replaced only then. Whatever fails inside leaves *target* as it
    was and nothing else behind.
    """
    target = target.resolve()
    check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise UsageError(f"cannot write to {target.parent}: {error.strerror}") from error
    try:
        draft.chmod(0o755)
        yield draft
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    swap(draft, target)


def swap(draft: Path, target: Path) -> None:
    """Put *draft* where *target* is; where that fails both are kept and named."""
    old = draft.with_name(f"{draft.name}.old")
    try:
        if target.exists():
            target.replace(old)
        draft.replace(target)
    except OSError as error:
        if old.exists():
            old.replace(target)
        raise UsageError(
            f"cannot replace {target}: {error.strerror}; the result is in {draft}"
        ) from error
    shutil.rmtree(old, ignore_errors=True)
