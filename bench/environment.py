"""What the numbers were measured on: versions, processor, memory, threads."""

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGES = (
    "bm25s", "faiss-cpu", "numpy", "pandas", "PyStemmer", "rank-bm25", "retrieval-bench", "scipy",
    "sentence-transformers", "tokenizers", "torch", "transformers",
)  # fmt: skip
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


def environment() -> dict[str, Any]:
    """A JSON-ready description of machine, interpreter and package versions."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": available_cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "packages": _versions(),
        "revision": _revision(),
    }


def available_cores() -> int:
    """How many processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def pinned_threads(threads: int) -> Iterator[None]:
    """Limit BLAS, OpenMP and torch to *threads*, in libraries loaded now or later in this process.

    The variables reach what is imported later; threadpoolctl and torch what is already there.
    """
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false" if threads == 1 else "true"
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(threads)
    try:
        with threadpool_limits(limits=threads):
            yield
    finally:
        if torch:
            torch.set_num_threads(before)


def rss_bytes() -> int:
    """The resident memory of this process now; 0 where the platform does not say."""
    return status_kib("VmRSS") * 1024


def peak_rss_bytes() -> int:
    """The largest resident memory this process ever had.

    VmHWM rather than getrusage's ru_maxrss: the latter survives exec, so a child would start
    with its parent's peak.
    """
    if peak := status_kib("VmHWM"):
        return peak * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def status_kib(key: str) -> int:
    """A number of /proc/self/status; 0 where there is none."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
    return 0


def _versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def processor() -> str:
    """The model of the processor, "" where the platform does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _revision() -> str | None:
    """The git commit of the checkout this runs from, with `+changes`; None when installed."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        answers = [
            subprocess.run(  # noqa: S603  a fixed command, no input
                ["git", "-C", str(root), *arguments],  # noqa: S607
                capture_output=True, text=True, check=True, timeout=10,
            ).stdout.strip()
            for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
        ]  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return answers[0] + ("+changes" if answers[1] else "")
