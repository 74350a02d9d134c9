"""`bench search`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.common import FINE, check_device, positive, say
from qrels.errors import UsageError

if TYPE_CHECKING:
    from bench.config import System
    from qrels.data import Corpus

HELP = "answer one query"

HYBRID = "hybrid"
"""What it takes for a suite that has it among its systems."""


def arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("query", metavar="QUERY")
    target_arguments(command)
    add("--k", type=positive, default=10, help="how many to show (10)")
    add("--depth", type=positive, default=100, help="how many --sort reorders (100)")
    add(
        "--filter",
        action="append",
        default=[],
        metavar="CONDITION",
        help="such as 'license=mit', 'downloads>=1000', 'language:it'; repeatable, all must hold",
    )
    add(
        "--sort",
        default="relevance",
        metavar="COLUMN",
        help="relevance, or a numeric or date column such as downloads, likes, created_at",
    )


def main(options: argparse.Namespace) -> int:
    """`bench search`."""
    from bench.search import format_hits, index_folder, open_index, search
    from encoders.base import device_scope
    from retrievers.filters import parse_filter

    check_device(options.device)
    where = [parse_filter(text) for text in options.filter]
    corpus, digest, system = searched(options)
    with device_scope(options.device):
        built = open_index(system, corpus, index_folder(system, digest), say)
        hits = search(built, options.query, options.k, options.depth, where, options.sort)
    print(format_hits(hits, options.sort))
    return FINE


def target_arguments(command: argparse.ArgumentParser) -> None:
    """The options that say what is searched and by which system."""
    add = command.add_argument
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("--suite", metavar="NAME|FOLDER", help="a shipped suite or a BEIR folder")
    where.add_argument("--corpus", type=Path, metavar="FILE", help="a .csv or .jsonl file")
    add(
        "--system",
        metavar="NAME",
        help="retriever[+reranker][+generator][?key=value&...]; by default hybrid, or the vectors "
        "that the file brings",
    )
    add("--rerank", metavar="NAME", help="a reranker for the system's best documents")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where models run")


def searched(options: argparse.Namespace) -> "tuple[Corpus, str, System]":
    """Corpus, its digest and the system that --suite or --corpus, --system and --rerank name."""
    from dataclasses import replace

    from bench.config import parse_system
    from bench.search import plain_corpus
    from qrels.suites import load_suite

    if options.corpus is not None:
        corpus, digest, default = plain_corpus(options.corpus)
    else:
        suite = load_suite(options.suite)
        corpus, digest = suite.corpus, suite.digest
        default = parse_system(HYBRID if HYBRID in suite.systems else suite.systems[0])
    system = parse_system(options.system) if options.system else default
    if options.rerank and system.reranker:
        raise UsageError(f"{system.name} has a reranker already; give --rerank or that, not both")
    if options.rerank:
        name = f"{system.name}+{options.rerank}"
        system = replace(system, name=name, reranker=options.rerank, reranker_params={})
    return corpus, digest, system
