"""`bench index`."""

import argparse

from bench.commands.common import FINE, check_device, say
from bench.commands.search import searched, target_arguments

HELP = "build and save an index, so that search starts at once"


def arguments(command: argparse.ArgumentParser) -> None:
    target_arguments(command)


def main(options: argparse.Namespace) -> int:
    """`bench index`."""
    from bench.caches import keep_to_limit
    from bench.search import index_folder, save_index
    from bench.system import index, make
    from encoders.base import device_scope

    check_device(options.device)
    corpus, digest, system = searched(options)
    folder = index_folder(system, digest)
    with keep_to_limit(say), device_scope(options.device):
        built = make(system, corpus)
        say(f"indexing {len(corpus):,} documents for {system.name}")
        index(built)
        size = save_index(built, folder)
    print(f"{system.name}: {size / 1e6:.1f} MB in {folder}")
    return FINE
