"""The recipe `cozyrag` without penalties, with those of the argmax, and with expected ones.

    python -m tools.penalties [--out reports/published/training/penalties.md] [--seeds 8]

Trains it as it is on questions and tiny models made on the spot, and writes a page of how unseen
questions were answered, with a figure beside it. Seeded: the same command gives the same page on
the same machine.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

OUT = Path("reports/published/training/penalties.md")
PICTURE = "plots/penalties.svg"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT, help=f"the page; default {OUT}")
    parser.add_argument("--seeds", type=int, default=8, help="trainings of each form; default 8")
    parser.add_argument("--epochs", type=int, default=20, help="of each training; default 20")
    options = parser.parse_args(arguments)
    if options.seeds < 1 or options.epochs < 2:
        parser.error("--seeds must be 1 or more, --epochs 2 or more: the generator learns second")
    write(options.out, options.seeds, options.epochs)
    return 0


def write(out: Path, seeds: int, epochs: int) -> None:
    """Train, then write the page and its figure, each whole or not at all."""
    from bench.environment import pinned_threads
    from qrels.files import write_whole
    from tools.penalties_data import KINDS
    from tools.penalties_figure import draw
    from tools.penalties_page import page, to_none
    from tools.penalties_train import ARMS, NONE, Plan, Trained, options_of, train_arms

    plan = Plan(seeds, epochs)
    arms: dict[str, list[Trained]] = {arm: [] for arm in ARMS}
    with pinned_threads(1):
        for seed in range(1, seeds + 1):
            with tempfile.TemporaryDirectory() as folder:
                for arm, trained in train_arms(plan, seed, Path(folder), tell).items():
                    arms[arm].append(trained)
    others = [arm for arm in ARMS if arm != NONE]
    found = {kind: {arm: to_none(arms, arm, kind, "EM") for arm in others} for kind in KINDS}
    write_whole(out.parent / PICTURE, draw(found, "EM less that of none, 95 % interval over seeds"))
    write_whole(out, page(plan, arms, options_of(plan), PICTURE))


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
