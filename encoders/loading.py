"""What loading a model of transformers or sentence-transformers needs around it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qrels.errors import BenchError, DataError

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@contextmanager
def loading(kind: str, model: str) -> Iterator[None]:
    """No progress bar, and one DataError for what the libraries raise about a broken model.

    kind: the word for it in the message, "encoder" say. Where the files of a hub id are not at
    hand, the message says how to download them.
    """
    from safetensors import SafetensorError
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it takes and gives nothing
    try:
        yield
    except BenchError:
        raise
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        raise DataError(f"{kind} {model!r} cannot be loaded: {_reason(error, model)}") from error
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # the same


def _reason(error: Exception, model: str) -> str:
    """The first line of what a library said, and what to do where files are not at hand."""
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    if not isinstance(error, OSError) or Path(model).is_dir():
        return reason
    if not HUB_ID.fullmatch(model):
        return "there is no such folder"
    return (
        f"{reason.rstrip('.')}; where there is a network run `huggingface-cli download {model} "
        f"--local-dir FOLDER` (newer: `hf download`), then name FOLDER in its place"
    )


def source(model: str, revision: str | None, trust_remote_code: bool) -> dict[str, Any]:
    """Where files come from, for `from_pretrained`; a folder is never looked for on the hub."""
    local = Path(model).is_dir()
    return {
        "revision": None if local else revision,
        "local_files_only": local,
        "trust_remote_code": trust_remote_code,
    }
