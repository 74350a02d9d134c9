"""The command line: parse, call, print; a BenchError is one line and exit code 2."""

import argparse
import errno
import importlib
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.commands.common import FINE, INTERNAL, INTERRUPTED, WRONG
from bench.terminal import protect, settle
from qrels.errors import BenchError

COMMANDS = (
    "run", "report", "compare", "gate", "baseline", "choose",
    "tune", "list", "search", "ask", "index", "evaluate", "lint", "judge-next", "rate", "cache",
    "acquire",
)  # fmt: skip
"""Each is the module of its name in `bench.commands`, in the order in which --help shows them."""

FULL = {errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS}
"""What writing to a disk that is full, or may not be written, fails with."""

DESCRIPTION = """\
Which retrieval configuration should I ship, and did today's change make it worse?"""

EPILOG = """\
examples:
  bench run --suite models
  bench run --suite path/to/beir/folder --system bm25 --system 'bm25?k1=1.2&b=0.75'
  bench search "small model for Italian speech" --suite models --filter 'downloads>=1000'
  bench compare results/A:bm25 results/B:bm25 --queries
  bench gate --baseline baselines/models.json
  bench choose results/A --budget 'p95<=50ms'
  bench cache info
  bench evaluate qrels.txt run.trec.gz nDCG@10 RR@10

exit codes: 0 fine, 1 worse than the baseline, nothing keeps to the budget, or a broken cache,
            2 wrong usage or data, 3 cannot tell, 4 some system failed, 70 internal error,
            130 interrupted"""


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    top = argparse.ArgumentParser(
        prog="bench",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"bench.commands.{name.replace('-', '_')}")
        command = commands.add_parser(name, help=module.HELP)
        module.arguments(command)
        command.set_defaults(main=module.main)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    written = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(written)
    options.line = shlex.join(["python", "-m", "bench", *written])
    try:
        code: int = options.main(options)
        sys.stdout.flush()
        return code
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        return FINE
    except OSError as error:  # a folder that may not be read, a disk that is full
        if error.filename is None and error.errno not in FULL:
            raise
        print(f"bench: {error.filename or 'cannot write'}: {error.strerror}", file=sys.stderr)
        return WRONG


def parse(written: Sequence[str]) -> argparse.Namespace:
    """The options; measures may also stand behind the options of `evaluate`."""
    top = parser()
    options, rest = top.parse_known_args(written)
    if rest and (options.command != "evaluate" or any(word.startswith("-") for word in rest)):
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.measures = [*options.measures, *rest]
    return options


def entry() -> None:
    """`bench` on the command line; an internal error keeps its traceback and exits with 70."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is done is kept
    protect()
    sys.path.insert(0, str(Path.cwd()))  # a plug-in beside the user, as `python -m bench` finds it
    try:
        code = main()
    except Exception:
        import traceback

        traceback.print_exc()
        code = INTERNAL
    settle()
    sys.exit(code)
