"""What a killed process leaves beside a result: removed by the next one, unless it is in use."""

import signal
import subprocess
import sys

import pytest

from bench.locks import locked
from bench.output import drafted, whole_folder

HOLDER = """
import sys, time
from pathlib import Path
from bench.output import whole_folder
with whole_folder(Path(sys.argv[1])) as draft:
    (draft / 'record.json').write_text('half')
    print('writing', flush=True)
    time.sleep(100)
"""
SWAPPER = """
import os, sys
from pathlib import Path
import bench.output
from bench.output import whole_folder
replace = Path.replace
def die(self, target):
    if not self.name.startswith('.'):
        replace(self, target)
    print('writing', flush=True)
    os.kill(os.getpid(), 9)
Path.replace = die
with whole_folder(Path(sys.argv[1])) as draft:
    (draft / 'record.json').write_text('new')
"""


@pytest.fixture
def writer():
    """writer(code, target) runs *code* until it says that it is writing."""
    started = []

    def begin(code, target):
        command = [sys.executable, "-c", code, str(target)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "writing\n"
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(target, text):
    with whole_folder(target) as draft:
        (draft / "record.json").write_text(text)


def test_the_draft_of_a_killed_run_is_removed_by_the_next(tmp_path, writer):
    """Once the process is dead its half-written folder goes; the new result is whole."""
    process = writer(HOLDER, tmp_path / "out")
    assert len(names(tmp_path)) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    write(tmp_path / "out", "whole")
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out" / "record.json").read_text() == "whole"


def test_the_draft_of_a_living_run_is_left_alone(tmp_path, writer):
    """A second run into the same folder does not take the first one's draft away."""
    writer(HOLDER, tmp_path / "out")
    draft = names(tmp_path)[0]
    write(tmp_path / "out", "whole")
    assert names(tmp_path) == [draft, "out"]
    assert (tmp_path / draft / "record.json").read_text() == "half"


def test_an_earlier_result_taken_away_is_put_back(tmp_path, writer):
    """Killed between two renames: the next run starts from the earlier result, not from nothing."""
    write(tmp_path / "out", "old")
    writer(SWAPPER, tmp_path / "out").wait()
    assert "out" not in names(tmp_path)
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "out"):
        raise KeyboardInterrupt
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out" / "record.json").read_text() == "old"


@pytest.mark.parametrize("name", [".out.settings", ".out.bench-", "out.bench-12345678", ".other"])
def test_other_folders_beside_are_never_touched(tmp_path, name):
    """Only a name that a draft of this target can have is ever removed."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis").write_text("years of work")
    write(tmp_path / "out", "whole")
    assert names(tmp_path) == sorted([name, "out"])


def test_a_lock_is_one_owner_s_and_ends_with_it(tmp_path):
    """The second one is told, and has it once the first one is done."""
    with locked(tmp_path / "lock") as first, locked(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    with locked(tmp_path / "lock") as third:
        assert third


def test_a_lock_whose_file_was_removed_is_nobody_s(tmp_path):
    """Who waited for a file that its owner then removed does not take the name for granted."""
    with locked(tmp_path / "lock") as first:
        (tmp_path / "lock").unlink()
        with locked(tmp_path / "lock") as second:
            assert (first, second) == (True, True)  # another file by now


def test_what_is_not_a_folder_yet_is_made(tmp_path):
    """A draft's folder is made with those above it."""
    with drafted(tmp_path / "a" / "b") as draft:
        (draft / "x").write_text("")
    assert names(tmp_path / "a" / "b") == ["x"]
