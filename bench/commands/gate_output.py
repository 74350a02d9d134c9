"""Where the answer of a gate goes: the terminal, files, the summary and annotations of a CI job."""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path


def deliver(
    options: argparse.Namespace, page: str, junit: str, json: str, annotations: Iterable[str]
) -> None:
    """Print and write the report in every form that was asked for."""
    from reports.files import write

    print(page, end="")
    for path, text in ((options.markdown, page), (options.junit, junit), (options.json, json)):
        if path is not None:
            write(path, text.encode("utf-8", "backslashreplace"))
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{page}\n")
    if options.annotations or os.environ.get("GITHUB_ACTIONS") == "true":
        sys.stdout.write("".join(f"{line}\n" for line in annotations))
