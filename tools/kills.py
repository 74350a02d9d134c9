"""Work that is killed at random moments, and what must hold afterwards.

Each trial forks a process from this one, which has everything imported, kills it by SIGKILL at a
moment drawn evenly from the time that the work takes uninterrupted, and looks at what is left.
"""

import contextlib
import gzip
import importlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

os.environ["OMP_NUM_THREADS"] = "1"  # a process with threads cannot be forked safely

WORDS = ["cat", "dog", "planet", "moon", "garden", "sofa", "river", "tree", "house", "train"]
SYSTEMS = ["bm25", "bm25?k1=1.5", "lsa?dimensions=4", "dense?encoder=hashing", "bm25-okapi"]
TEXTS = [f"{WORDS[i % 10]} {WORDS[i * 7 % 9]} number {i}" for i in range(6000)]


WARM = (
    "bench.commands.run", "bench.runner", "bench.search", "matplotlib.backends.backend_agg",
    "matplotlib.pyplot", "numba", "qrels.fast_corpus", "rank_bm25", "reports.plots",
    "scipy.sparse.linalg", "scipy.stats",
)  # fmt: skip
"""What the work imports, so that kills hit the work and not its imports; none starts a thread."""


class Work(NamedTuple):
    """Something to kill. run(folder) does it; check(folder) is why what is left is wrong, or None.

    check does the work again first where it says so: what comes out must equal what an
    uninterrupted run leaves.
    """

    name: str
    promise: str
    prepare: Callable[[Path], object]
    run: Callable[[Path], object]
    check: Callable[[Path, Path], str | None]  # the killed one's folder, the uninterrupted one's


class Tally(NamedTuple):
    """What came of the trials; resumed: how many took something from the killed one."""

    name: str
    promise: str
    tried: int
    killed: int
    resumed: int
    lost: list[str]


def trials(work: Work, kills: int, rng: np.random.Generator) -> Tally:
    """Kill *work* that many times; lost has a line for each trial that left something wrong."""
    for module in WARM:
        importlib.import_module(module)
    with TemporaryDirectory(prefix="kills-") as name:
        whole = Path(name, "whole")
        took = median(uninterrupted(work, whole) for _ in range(3))
        killed, resumed, lost = 0, 0, []
        for number, moment in enumerate(rng.uniform(0, took, kills)):
            folder = Path(name, str(number))
            folder.mkdir()
            work.prepare(folder)
            killed += kill(work, folder, moment)
            wrong = work.check(folder, whole)
            if wrong is not None:
                lost.append(f"killed after {moment:.3f} s of {took:.3f} s: {wrong}")
            resumed += (folder / "resumed").exists()
            shutil.rmtree(folder)
        return Tally(work.name, work.promise, kills, killed, resumed, lost)


def uninterrupted(work: Work, folder: Path) -> float:
    """Seconds that the work takes in a new *folder*."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    work.prepare(folder)
    start = time.perf_counter()
    code = os.waitstatus_to_exitcode(os.waitpid(forked(work.run, folder), 0)[1])
    took = time.perf_counter() - start
    assert code == 0, f"{work.name}: exit code {code}: {said(folder)}"
    return took


def kill(work: Work, folder: Path, moment: float) -> bool:
    """Whether the work was still running when it was killed, *moment* seconds after its start."""
    child = forked(work.run, folder)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def again(run: Callable[[Path], object], folder: Path) -> str | None:
    """Do it in a process of its own, to the end; why that failed."""
    code = os.waitstatus_to_exitcode(os.waitpid(forked(run, folder), 0)[1])
    return None if code == 0 else f"the next one ended with {code}: {said(folder)}"


def forked(run: Callable[[Path], object], folder: Path) -> int:
    """The id of a new process that does run(folder), its output kept in the folder."""
    assert sys.platform != "linux" or len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        output = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(folder)
        os.environ["BENCH_CACHE"] = str(folder / "cache")
        code = int(run(folder) or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def said(folder: Path) -> str:
    return (folder / "said").read_text("utf-8", "replace").strip()


# A run


def toy(folder: Path, documents: int = 300) -> None:
    """A BEIR folder of small documents, made the same way every time."""
    suite = folder / "toy"
    (suite / "qrels").mkdir(parents=True)
    corpus = [{"_id": f"d{i}", "title": WORDS[i % 10], "text": TEXTS[i]} for i in range(documents)]
    queries = [{"_id": f"q{i}", "text": f"{WORDS[i % 10]} {WORDS[(i + 3) % 10]}"} for i in range(6)]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (suite / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    qrels = "".join(f"q{i}\td{i}\t1\nq{i}\td{i + 10}\t2\n" for i in range(6))
    (suite / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{qrels}")


def bench(folder: Path, *arguments: str) -> int:
    from bench.cli import main

    del folder  # the current one
    return main(arguments)


def run_bench(folder: Path) -> int:
    options = [word for system in SYSTEMS for word in ("--system", system)]
    return bench(folder, "run", "--suite", "toy", *options, "--no-latency", "--out", "place/out")


def check_run(folder: Path, whole: Path) -> str | None:
    """The result is whole or not there, the next run's equals an uninterrupted one's, no litter."""
    if (folder / "place" / "out").exists() and (wrong := unlike(folder, whole)):
        return f"half a result: {wrong}"
    if failed := again(run_bench, folder):
        return failed
    if "resuming: " in said(folder):
        (folder / "resumed").touch()
    litter = [path.name for path in (folder / "place").iterdir() if path.name != "out"]
    litter += [str(path) for path in (folder / "cache").rglob("*") if ".bench-" in path.name]
    litter += map(str, (folder / "cache").glob("journal-*/*"))
    return f"litter: {litter[0]}" if litter else unlike(folder, whole)


def unlike(folder: Path, whole: Path) -> str | None:
    """What of a result differs from the uninterrupted one, times and plots aside."""
    mine, theirs = (plain(place / "place" / "out") for place in (folder, whole))
    if mine != theirs:
        return "the records differ"
    runs = [cell["run_file"] for cell in theirs["cells"]]
    for name in ("per_query.csv", *runs):
        pair = [(place / "place" / "out" / name).read_bytes() for place in (folder, whole)]
        if pair[0] != pair[1]:
            return f"{name} differs"
    names = [{p.name for p in (x / "place" / "out").rglob("*")} for x in (folder, whole)]
    return None if names[0] == names[1] else f"other files: {names[0] ^ names[1]}"


def plain(folder: Path) -> dict[str, object]:
    """A record without what no two runs share: when it was made, and what cells cost."""
    record = json.loads((folder / "record.json").read_text())
    del record["created"]
    for cell in record["cells"]:
        del cell["cost"]
    return dict(record)


# The embedding cache


def encode(folder: Path) -> None:
    """Encode in several calls, so that files are written, merged and opened again."""
    import encoders
    from encoders.cache import cache_policy

    encoder = encoders.load("hashing?dimension=64")
    with cache_policy(folder / "cache") as stats:
        for start in range(0, len(TEXTS), 2000):
            encoder.encode(TEXTS[: start + 2000], "passage")
        np.save(folder / "vectors.npy", encoder.encode(TEXTS, "passage"))
    if stats.from_cache > 3 * len(TEXTS):  # more than the calls above give each other
        raise AssertionError(stats)
    (folder / "cached").write_text(str(stats.encode_ns and stats.from_cache))


def check_cache(folder: Path, whole: Path) -> str | None:
    """Every file has the name and the checksum of its content; the vectors are the right ones."""
    before = sorted((folder / "cache").rglob("*.emb")) if (folder / "cache").exists() else []
    (folder / "vectors.npy").unlink(missing_ok=True)
    if failed := again(encode, folder):
        return failed
    if before and "damaged" not in said(folder):
        (folder / "resumed").touch()
    if "damaged" in said(folder):
        return f"half a file was read: {said(folder)}"
    same = (folder / "vectors.npy").read_bytes() == (whole / "vectors.npy").read_bytes()
    return None if same else "the vectors differ"


# A saved index


def index_bench(folder: Path) -> int:
    return bench(folder, "index", "--suite", "toy", "--system", "lsa?dimensions=16")


def search_bench(folder: Path) -> int:
    return bench(folder, "search", "river tree", "--suite", "toy", "--system", "lsa?dimensions=16")


def check_index(folder: Path, whole: Path) -> str | None:
    """A search finds a whole index or none, and answers as ever; the next one leaves no litter."""
    if (folder / "cache" / "indexes").exists() and list(
        (folder / "cache/indexes").glob("[0-9a-f]*")
    ):
        (folder / "resumed").touch()
    for place in (folder, whole):
        if failed := again(search_bench, place):
            return failed
    if said(folder) != said(whole):
        return f"the answer differs: {said(folder)}"
    if failed := again(index_bench, folder):
        return failed
    entries = [path.name for path in (folder / "cache" / "indexes").iterdir()]
    return f"litter: {entries}" if len(entries) > 1 else None


# Single files


def write_files(folder: Path) -> None:
    """New content over old, for each of the ways in which a file is written."""
    from qrels.files import write_whole
    from qrels.saved import with_file
    from reports.files import write

    text = "new line\n" * 200_000
    write_whole(folder / "corpus.jsonl", text)
    write_whole(folder / "run.trec.gz", text)
    write(folder / "record.json", text.encode())
    with_file(folder / "scores.npy", lambda file: np.save(file, np.arange(500_000)))


def old_files(folder: Path) -> None:
    for name in ("corpus.jsonl", "record.json"):
        (folder / name).write_text("old")
    (folder / "run.trec.gz").write_bytes(gzip.compress(b"old", mtime=0))
    np.save(folder / "scores.npy", np.zeros(1))


def check_files(folder: Path, whole: Path) -> str | None:
    """Each file is the old or the new one, to the byte."""
    with TemporaryDirectory() as name:
        old_files(Path(name))
        for path in Path(name).iterdir():
            found = (folder / path.name).read_bytes()
            if found not in (path.read_bytes(), (whole / path.name).read_bytes()):
                return f"{path.name} is half written"
    return again(write_files, folder)


def works() -> Iterator[Work]:
    """All that is killed."""
    yield Work(
        "`bench run`, five systems on a small suite, quality only",
        "no half result; the next run's record equals an uninterrupted one's; no litter",
        toy, run_bench, check_run,
    )  # fmt: skip
    yield Work(
        "writing the embedding cache (`hashing`)",
        "no half file is read; the next one's vectors equal an uninterrupted one's",
        lambda _: None, encode, check_cache,
    )  # fmt: skip
    yield Work(
        "`bench index`",
        "a search finds a whole index or none, and answers the same",
        lambda folder: toy(folder, 3000), index_bench, check_index,
    )  # fmt: skip
    yield Work(
        "writing corpus, run file, record and arrays over older ones",
        "each file is the old or the new one",
        old_files, write_files, check_files,
    )  # fmt: skip
