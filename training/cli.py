"""`python -m training NAME`: one recipe, its options, one line where something is wrong."""

import argparse
import importlib
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qrels.errors import BenchError, UsageError
from training.config import describe, read_options

FINE, WRONG, INTERNAL, INTERRUPTED = 0, 2, 70, 130

RECIPES: Mapping[str, str] = {
    "split": "training.data.split",
    "retriever": "training.retriever",
    "reranker": "training.reranker",
    "reader": "training.reader",
    "cozyrag": "training.cozyrag",
    "dpr": "training.dpr",
    "dpr-t5": "training.dpr_t5",
}
"""Each name's module; it has SUMMARY, the class OPTIONS and the function `main(options, say)`."""

EPILOG = """\
examples:
  python -m training split --data ../shared/data/squad-v1.1-dev --out trained/squad
  python -m training retriever --data trained/squad/train --validate trained/squad/validate
  python -m training reader --data trained/squad/train --validate trained/squad/validate --dropout 0
  python -m training retriever --config retriever.toml --set learning_rate=1e-5
  torchrun --nproc-per-node 2 -m training retriever --config retriever.toml

`python -m training NAME --help` lists a recipe's options. A run that was stopped or killed goes
on where it was when the same command is given again.

exit codes: 0 fine, 2 wrong usage or data, 70 internal error, 130 interrupted"""


def parser(wanted: str | None = None) -> argparse.ArgumentParser:
    """Every recipe, and the options of the *wanted* one."""
    top = argparse.ArgumentParser(
        prog="python -m training",
        description="Train a part of a retrieval system, one recipe at a time.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="recipe", metavar="NAME", required=True)
    for name, target in RECIPES.items():
        module = importlib.import_module(target)
        command = commands.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        command.set_defaults(module=module)
        if name == wanted:
            add_options(command, module.OPTIONS)
    return top


def add_options(command: argparse.ArgumentParser, kind: type[Any]) -> None:  # a recipe's options
    """--config, --set, and a flag for each option with its default."""
    command.add_argument("--config", type=Path, metavar="FILE", help="a TOML file of options")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one of them"
    )
    for name, default, about in describe(kind):
        flag = "--" + name.replace("_", "-")
        text = f"{about} [{default!r}]".replace("%", "%%")
        command.add_argument(flag, dest=f"flag {name}", metavar="VALUE", help=text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one recipe; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    wanted = next((word for word in words if word in RECIPES), None)
    given = parser(wanted).parse_args(words)
    try:
        options = read_options(given.module.OPTIONS, given.config, changes(given))
        given.module.main(options, say)
    except BenchError as error:
        say(f"training: {error}")
        return WRONG
    except KeyboardInterrupt:
        say("training: interrupted")
        return INTERRUPTED
    except OSError as error:
        say(f"training: {error.filename or 'cannot write'}: {error.strerror or error}")
        return WRONG
    return FINE


def changes(given: argparse.Namespace) -> list[tuple[str, str]]:
    """The options written on the command line, those of --set first."""
    found = []
    for text in given.set:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"cannot read --set {text!r}; expected key=value")
        found.append((key, value))
    flags = {key.removeprefix("flag "): value for key, value in vars(given).items() if " " in key}
    return found + [(key, value) for key, value in flags.items() if value is not None]


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def entry() -> None:
    """The command line; an internal error keeps its traceback and exits with 70."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is done is kept
    try:
        code = main()
    except Exception:
        import traceback

        traceback.print_exc()
        code = INTERNAL
    sys.exit(code)
