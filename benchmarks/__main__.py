"""Run benchmarks and write docs/performance.md from all that were ever run.

    python -m benchmarks [NAME ...] [--quick] [--out docs]

Each runs in a process of its own. --quick takes small sizes, writes nothing, and fails (exit
code 1) where a ratio is less than half of what was promised.
"""

import argparse
import importlib
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import benchmarks
from benchmarks import page
from benchmarks.common import Missing
from benchmarks.ratios import verdicts
from qrels.saved import with_file
from reports.units import digits

HELPERS = frozenset({"__main__", "common", "corpus", "page", "ratios", "vectors"})
ORDER = (
    "bm25",
    "bm25_build",
    "dense",
    "encoding",
    "ann",
    "loading",
    "measures",
    "permutation",
    "growth",
)


def names() -> list[str]:
    """The benchmarks there are, as the page orders them."""
    found = {module.name for module in pkgutil.iter_modules(benchmarks.__path__)} - HELPERS
    return sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else 99, name))


def run_one(name: str, quick: bool, target: Path) -> int:
    """Run one benchmark in this process and write what it found."""
    module = importlib.import_module(f"benchmarks.{name}")
    try:
        result = module.run(quick)
    except Missing as error:
        print(f"{name}: left out: {error}", file=sys.stderr)
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    text = page.to_json(module.TITLE, result)
    with_file(target, lambda file: file.write(text.encode()))
    return 0


def run_apart(name: str, quick: bool, target: Path) -> int:
    """Run one benchmark in a fresh process; its exit code."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks", name, "--into", str(target)]
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.run(command + ["--quick"] * quick, env=environment, check=False).returncode


def report(text: str) -> bool:
    """Print each mark of a result; whether one has collapsed."""
    found = verdicts(page.from_json(text)[1])
    for verdict in found:
        mark, ratio = verdict.mark, verdict.ratio
        shown = "not measured" if ratio is None else f"{digits(ratio.value)} x"
        state = "COLLAPSED" if verdict.collapsed else "" if verdict.met is not False else "below"
        print(f"  {mark.work}: {mark.ours} against {mark.peer}: {shown} "
              f"(promised {digits(mark.promised)}) {state}".rstrip())  # fmt: skip
    return any(verdict.collapsed for verdict in found)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", nargs="*", help=f"of {', '.join(names())}; all by default")
    parser.add_argument("--quick", action="store_true", help="small, and fail on a collapse")
    parser.add_argument("--out", type=Path, default=Path("docs"), metavar="DIR")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if wrong := set(options.name) - set(names()):
        parser.error(f"no benchmark {min(wrong)!r}; there are: {', '.join(names())}")
    chosen = options.name or names()
    if options.into:
        return run_one(chosen[0], options.quick, options.into)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) if options.quick else options.out / "performance"
        failed = []
        for name in chosen:
            target = folder / f"{name}.json"
            if code := run_apart(name, options.quick, target):
                print(f"{name} failed with exit code {code}", file=sys.stderr)
                failed.append(name)
            elif target.exists() and report(target.read_text("utf-8")) and options.quick:
                failed.append(name)
        if not options.quick:
            write_page(options.out)
    return 1 if failed else 0


def write_page(folder: Path) -> None:
    """performance.md from the results in folder/performance."""
    paths = [folder / "performance" / f"{name}.json" for name in names()]
    results = {
        path.stem: page.from_json(path.read_text("utf-8")) for path in paths if path.exists()
    }
    text = page.page(results, folder)
    with_file(folder / "performance.md", lambda file: file.write(text.encode()))


if __name__ == "__main__":
    sys.exit(main())
