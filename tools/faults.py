"""The gate tried on faults that people make, and on a tree in which nothing changed.

    python -m tools.faults [--unchanged 100] [--out docs/gate.md]     (from the checkout's root)

Each fault is a real system, broken as it breaks in life, against the same system whole, on the
shipped `models` and on SciFact. Writes the tables between the marker lines of the page. --unchanged
runs `bench gate` that many times, each in a process of its own, on the default systems of `models`.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from bench.config import parse_system
from bench.gate.decide import decide, resolvable
from bench.runner import measure_run
from bench.system import search_suite
from qrels.data import Suite
from qrels.suites import load_suite
from reports.table import markdown
from reports.units import NONE, figure, signed
from tools.judgements import with_figures

START, END = "<!-- faults -->", "<!-- end of faults -->"
SHARED = Path(os.environ.get("BENCH_SHARED", "../shared/data"))
RERANKED = "bm25+late-interaction"


class Fault(NamedTuple):
    """What broke: the whole system and the broken one."""

    name: str
    whole: str
    broken: str


def faults(field: str, other: str) -> list[Fault]:
    """field: which one is shuffled; other: the wrong one for the reranker."""
    return [
        Fault("the stemmer removed", "bm25", "bm25?stemmer=null"),
        Fault("k1 = 0", "bm25", "bm25?k1=0"),
        Fault("a tenth of the corpus lost", "bm25", "tools.faulty:LostDocuments"),
        Fault(f"the field {field} shuffled", "bm25", f"tools.faulty:ShuffledField?field={field}"),
        Fault(f"the reranker fed {other}", RERANKED, f'{RERANKED}?reranker.fields=["{other}"]'),
    ]


def rows(suite: Suite, tried: Sequence[Fault]) -> Iterator[list[str]]:
    """A row a fault: what it lost, and what the gate says of it with its defaults."""
    name = suite.measures[0]
    values = {
        spec: measure_run(suite, search_suite(suite, parse_system(spec)))[name]
        for spec in dict.fromkeys(spec for fault in tried for spec in (fault.whole, fault.broken))
    }
    for fault in tried:
        old, new = values[fault.whole], values[fault.broken]
        found = decide(new - old, resolvable(old))
        yield [
            fault.name, fault.whole, f"{figure(old.mean())} → {figure(new.mean())}",
            signed(found.mean), f"{found.margin:.3f}", f"[{found.lower:+.3f}, {found.upper:+.3f}]",
            f"{np.count_nonzero(new - old)} of {len(old)}", f"**{found.verdict}**",
            NONE if found.needed is None else f"{found.needed:,}",
        ]  # fmt: skip


def page() -> Iterator[str]:
    """The tables, one a suite."""
    header = ["fault", "system", "mean", "change", "margin", "bounds", "queries changed", "verdict",
              "queries needed"]  # fmt: skip
    plans = [(load_suite("models"), [*faults("tags", "license"), *faults("text", "license")[3:4]])]
    if (SHARED / "scifact").is_dir():
        plans.append((load_suite(str(SHARED / "scifact")), faults("title", "title")))
    for suite, tried in plans:
        queries = f"{len(suite.queries)} queries, {suite.measures[0]}"
        yield f"**{suite.name}** ({suite.split}), {queries}:"
        yield markdown(header, list(rows(suite, tried)), "lllrrrrlr")


def unchanged(times: int) -> str:
    """How often `bench gate --exact` passes where nothing changed; each run is a new process."""
    with TemporaryDirectory() as name:
        run = [sys.executable, "-m", "bench"]
        made, file = f"{name}/run", f"{name}/baseline.json"
        subprocess.run([*run, "run", "--suite", "models", "--no-latency", "--out", made],
                       check=True, capture_output=True)  # fmt: skip
        subprocess.run([*run, "baseline", "save", made, "--out", file],
                       check=True, capture_output=True)  # fmt: skip
        codes = [
            subprocess.run([*run, "gate", "--baseline", file, "--exact"], capture_output=True)
            for _ in range(times)
        ]
    passed = sum(done.returncode == 0 for done in codes)
    return (
        "On an unchanged tree `bench gate --exact` on the default systems of `models` passed "
        f"{passed} times of {times}, each in a process of its own."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--unchanged", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/gate.md"))
    options = parser.parse_args(arguments)
    parts = list(page())
    if options.unchanged:
        parts.append(unchanged(options.unchanged))
    text = options.out.read_text("utf-8")
    options.out.write_text(with_figures(text, "\n\n".join(parts), START, END), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
