"""What loading a model of transformers or sentence-transformers needs around it."""

from collections.abc import Iterator
from contextlib import contextmanager

from qrels.errors import BenchError, DataError


@contextmanager
def loading(kind: str, model: str) -> Iterator[None]:
    """No progress bar, and one DataError for what the libraries raise about a broken model.

    kind: the word for it in the message, "encoder" say.
    """
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it takes and gives nothing
    try:
        yield
    except BenchError:
        raise
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DataError(f"{kind} {model!r} cannot be loaded: {reason}") from error
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # the same
