"""`bench ask`."""

import argparse

from bench.commands.common import FINE, check_device, say
from bench.commands.search import searched, target_arguments
from qrels.errors import UsageError

HELP = "answer one question from a suite's passages"
GENERATOR = "extractive"
"""What answers where the system names no generator."""


def arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("question", metavar="QUESTION")
    target_arguments(command)
    add("--context", metavar="TEXT", help="answer from this text, without searching")
    add("--show-prompt", action="store_true", help="what the language model is given, whole")
    add(
        "--filter",
        action="append",
        default=[],
        metavar="CONDITION",
        help="as in `bench search`; repeatable, all must hold",
    )


def main(options: argparse.Namespace) -> int:
    """`bench ask`."""
    from dataclasses import replace

    from bench.ask import ask, format_answer
    from bench.search import index_folder, open_index
    from bench.system import close, make
    from encoders.base import device_scope
    from retrievers.filters import parse_filter

    check_device(options.device)
    where = [parse_filter(text) for text in options.filter]
    if options.context is not None and where:
        raise UsageError("--filter searches, which --context leaves out; give one of the two")
    corpus, digest, system = searched(options)
    if system.generator is None:
        system = replace(system, name=f"{system.name}+{GENERATOR}", generator=GENERATOR)
    with device_scope(options.device):
        built = (
            open_index(system, corpus, index_folder(system, digest), say)
            if options.context is None
            else make(system, corpus)
        )
        try:
            passages, said = ask(built, options.question, where, options.context)
        finally:
            close(built)
    print(format_answer(options.question, passages, said, options.show_prompt))
    return FINE
