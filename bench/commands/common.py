"""What the commands share: exit codes, argument types, progress lines."""

import argparse
import contextlib
import sys

from qrels.errors import UsageError

FINE, WORSE, WRONG, UNKNOWN, SYSTEM_FAILED, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 4, 70, 130
"""Exit codes, as `bench --help` explains them."""


def positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 1")
    return int(text)


def whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 0")
    return int(text)


def size(text: str) -> int:
    from bench.memory import parse_size

    try:
        return parse_size(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def check_device(device: str) -> None:
    """UsageError where CUDA is asked for and torch sees none."""
    if device == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        raise UsageError(f"--device {device}: torch sees no CUDA device here; use --device cpu")


def say(line: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # whoever read along has gone; the work goes on
        print(line, file=sys.stderr, flush=True)
