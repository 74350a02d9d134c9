"""Everything derived in the checkout, made again from what is not.

    python -m tools.publish [--no-run]      (from the root of the checkout; some minutes)

For each shipped suite: qrels and figures from its log of judgements, where it has one, the
distributions of its datasheet, and reports/published/SUITE, a run of its default systems on the
default split. --no-run leaves the runs out.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import bench.cli
from tools import datasheet, judgements

SETS, REPORTS = Path("qrels/sets"), Path("reports/published")


def publish(folder: Path, with_run: bool) -> int:
    """Make again what is derived from the suite in *folder*; 0, or the code of what failed."""
    if (folder / "judgements.tsv").exists() and (code := judgements.main([str(folder)])):
        return code
    if code := datasheet.main([str(folder)]):
        return code
    if not with_run:
        return 0
    return bench.cli.main(["run", "--suite", folder.name, "--out", str(REPORTS / folder.name)])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--no-run", action="store_true")
    options = parser.parse_args(arguments)
    folders = sorted(path.parent for path in SETS.glob("*/suite.toml"))
    if not folders:
        parser.error(f"no {SETS}/*/suite.toml here; call it from the root of the checkout")
    return max(publish(folder, not options.no_run) for folder in folders)


if __name__ == "__main__":
    sys.exit(main())
