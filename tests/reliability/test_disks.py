"""A disk that is full or may not be written: one clear line, and nothing half-written stays."""

import json
import resource
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

RUN = ["run", "--suite", "toy", "--system", "bm25", "--system", "dense?encoder=hashing",
       "--no-latency", "--out"]  # fmt: skip


@contextmanager
def mounted(folder: Path, options: str):
    """A small disk in memory at *folder*; skips where none can be mounted here."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount command here")
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def ended(process: subprocess.Popen) -> tuple[int, str, str]:
    output, error = process.communicate(timeout=120)
    assert "Traceback" not in error
    return process.returncode, output, error.splitlines()[-1] if error else ""


def limited(size: int):
    """No file of this process may grow beyond *size* bytes, as on a disk that fills up."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [0, 200, 20_000])
def test_a_full_disk_leaves_the_earlier_result(toy_folder, start, size):
    """Exit code 2, one line that says so, the earlier result as it was, and no litter."""
    place = toy_folder.parent
    assert ended(start(place, *RUN, "place/out"))[0] == 0
    before = (place / "place" / "out" / "record.json").read_bytes()
    code, _, line = ended(start(place, *RUN, "place/out", "--fresh", preexec_fn=limited(size)))
    assert (code, line.partition(":")[0]) == (2, "bench")
    assert "File too large" in line
    assert (place / "place" / "out" / "record.json").read_bytes() == before
    assert [path.name for path in (place / "place").iterdir()] == ["out"]


@pytest.mark.parametrize("options", ["size=16k", "ro"], ids=["full", "read-only"])
def test_an_output_disk_that_cannot_be_written_is_one_line(toy_folder, start, options):
    """A result that finds no room, or no permission, is exit code 2 and leaves nothing behind."""
    place = toy_folder.parent
    with mounted(place / "disk", options) as disk:
        code, _, line = ended(start(place, *RUN, disk / "out"))
        assert code == 2
        assert ("Read-only file system" if options == "ro" else "No space left") in line
        assert list(disk.iterdir()) == []


@pytest.mark.parametrize("options", ["size=16k", "ro"], ids=["full", "read-only"])
def test_a_cache_that_cannot_be_written_is_done_without(toy_folder, start, plain, options):
    """The run says so, finishes, and its record is what it would have been."""
    place = toy_folder.parent
    assert ended(start(place, *RUN, "first"))[0] == 0
    with mounted(place / "disk", options) as disk:
        environment = {"BENCH_CACHE": str(disk / "cache")}
        process = start(place, *RUN, "second", env=environment)
        _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert "Traceback" not in error
    assert plain(place / "first") == plain(place / "second")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("file", "is a file"),
        ("file/out", "not a folder"),
        ("/dev/full/out", "not a folder"),
        ("x" * 300, "File name too long"),
        ("/proc/nowhere/out", "No such file or directory"),
    ],
)
def test_a_target_that_cannot_be_a_folder_is_one_line(toy_folder, start, target, reason):
    """It is said before anything runs."""
    (toy_folder.parent / "file").write_text("")
    code, _, line = ended(start(toy_folder.parent, *RUN, target))
    assert code == 2
    assert reason in line
    assert not line.startswith("[")


def test_a_cache_that_is_a_file_is_done_without(toy_folder, start, plain):
    """Where even root cannot make a folder, the run goes on without one."""
    place = toy_folder.parent
    (place / "file").write_text("")
    assert ended(start(place, *RUN, "first"))[0] == 0
    process = start(place, *RUN, "second", env={"BENCH_CACHE": str(place / "file")})
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert "nothing to resume from is kept" in error
    assert plain(place / "first") == plain(place / "second")


def test_output_that_cannot_be_written_is_one_line(toy_folder, start):
    """What goes to a full device is exit code 2, not silence; the result is there all the same."""
    place = toy_folder.parent
    with open("/dev/full", "w") as full:  # noqa: PTH123
        process = start(place, *RUN, "out", stdout=full)
        _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    assert error.splitlines()[-1] == "bench: cannot write: No space left on device"
    assert json.loads((place / "out" / "record.json").read_text())["status"] == "complete"
