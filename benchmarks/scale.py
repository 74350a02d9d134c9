"""A whole `bench run` at a million documents and a hundred thousand queries, within 8 GB."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import Fact, Result
from benchmarks.corpus import suite_folder

TITLE = "A million documents, a hundred thousand queries"
MEMORY = "8GB"
PROMISED = re.compile(r"peak memory about ([\d.]+) ([KMGT]?B)")
TICK = 0.1


def run(quick: bool) -> Result:
    documents, queries = (5_000, 500) if quick else (1_000_000, 100_000)
    folder = suite_folder(documents, queries)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "result"
        command = [sys.executable, "-m", "bench", "run", "--experiment", str(folder / "scale.toml"),
                   "--no-latency", "--no-text", "--memory", MEMORY, "--out", str(out)]  # fmt: skip
        start = time.perf_counter()
        peak, said, marks = _watched(command, start)
        spent = time.perf_counter() - start
        record = json.loads((out / "record.json").read_text("utf-8"))
    facts = [
        Fact("documents", documents, ""),
        Fact("queries", len(record["suites"][0]["query_ids"]), "", "those that have an answer"),
        Fact("whole run", spent, "s", "three systems: load, index, search 100 deep, measure"),
        Fact("largest memory of a process", peak / 1e9, "GB", f"RSS, mapped files too; {said}"),
        *(
            Fact(f"{cell['system']}: nDCG@10", cell["means"]["nDCG@10"]["mean"], "")
            if cell["error"] is None
            else Fact(f"{cell['system']}: failed", 0, "", cell["error"])
            for cell in record["cells"]
        ),
        *(Fact(f"{name}: done after", seconds, "s") for name, seconds in marks.items()),
    ]
    note = (
        "Text is recombined from real sentences and relevant documents are planted "
        "(`benchmarks/corpus.py`), so that what ought to be found is known; the quality says that "
        "nothing is lost on the way, and nothing about real collections."
    )
    return Result(facts=tuple(facts), notes=(note,))


def _watched(command: list[str], start: float) -> tuple[int, str, dict[str, float]]:
    """The largest RSS of the command and its children, what it promised, when each cell ended."""
    with tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, text=True)
        peak, marks, seen = 0, {}, 0
        while child.poll() is None:
            peak = max(peak, *map(_rss, _family(child.pid)))
            log.seek(0)
            lines = log.read().splitlines()
            for line in lines[seen:]:
                if found := re.match(r"      (.+?): nDCG", line):
                    marks[found[1]] = time.perf_counter() - start
            seen = len(lines)
            time.sleep(TICK)
        log.seek(0)
        text = log.read()
    if child.returncode:
        raise SystemExit(f"scale: bench run ended with {child.returncode}: {text[-500:]}")
    said = next((line for line in text.splitlines() if PROMISED.search(line)), "")
    return peak, f"said before: {said}", marks


def _family(pid: int) -> list[int]:
    """The process and those that it started."""
    found = [pid]
    for one in found:
        try:
            for thread in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (thread / "children").read_text("utf-8").split())
        except OSError:  # it is gone
            continue
    return found


def _rss(pid: int) -> int:
    """Bytes of memory that a process has now."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1])
        return pages * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0
