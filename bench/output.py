"""Where results go: a folder that appears whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from bench.locks import locked
from qrels.errors import UsageError

OURS = frozenset({"record.json", "report.md", "per_query.csv", "plots", "runs"})
"""What a result folder holds; only a folder of these alone is ever replaced."""

DRAFT, OLD = ".bench-", ".old"
"""In the name of a draft, and at the end of that of what it replaces, while it does."""


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

    An earlier result there is replaced only then; UsageError where *target* is anything else.
    """
    try:
        check_target(target)
    except OSError as error:  # a name that is too long, a folder that may not be read
        raise UsageError(f"cannot write to {target}: {error.strerror}") from error
    with drafted(target) as draft:
        yield draft


@contextmanager
def drafted(target: Path) -> Iterator[Path]:
    """A folder beside *target* to write into, which replaces it once the block is done.

    Whatever fails inside leaves *target* as it was and nothing else behind; what a killed
    process left is removed here. Raises UsageError where nothing can be written.
    """
    target = target.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        clean(target)
        draft = _made(target)
    except FileExistsError as error:
        raise UsageError(f"cannot write to {target.parent}: not a folder") from error
    except OSError as error:
        raise UsageError(f"cannot write to {target.parent}: {error.strerror}") from error
    with locked(draft):
        try:
            yield draft
        except BaseException as error:
            shutil.rmtree(draft, ignore_errors=True)
            if isinstance(error, OSError) and error.filename is None:  # as of a full disk
                raise UsageError(f"cannot write to {target}: {error.strerror}") from error
            raise
        swap(draft, target)


def swap(draft: Path, target: Path) -> None:
    """Put *draft* where *target* is; where that fails both are kept and named."""
    old = draft.with_name(f"{draft.name}{OLD}")
    try:
        if not target.exists():
            draft.replace(target)
            return
        with locked(target):  # a folder keeps its lock under its other name
            target.replace(old)
            draft.replace(target)
    except OSError as error:
        if old.exists():
            old.replace(target)
        raise UsageError(
            f"cannot replace {target}: {error.strerror}; the result is in {draft}"
        ) from error
    shutil.rmtree(old, ignore_errors=True)


def clean(target: Path) -> None:
    """Remove the drafts of *target* that no live process owns; put back what one took away."""
    for path in target.parent.glob(f".{escape(target.name)}{DRAFT}????????*"):
        with locked(path) as mine:
            if mine and path.suffix == OLD and not target.exists():
                path.rename(target)
            elif mine:
                shutil.rmtree(path, ignore_errors=True)


def _made(target: Path) -> Path:
    """A new draft of *target*, readable as any other folder."""
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}{DRAFT}", dir=target.parent))
    draft.chmod(0o755)
    return draft
