"""Every reader against broken input: cases that once failed, and changed examples."""

import importlib.util
import random
from pathlib import Path

import pytest

from qrels.errors import DataError

SOURCE = Path(__file__).parents[2] / "tools" / "fuzz.py"  # which no wheel holds
SPEC = importlib.util.spec_from_file_location("fuzz", SOURCE)
fuzz = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz)
changed, failure, readers = fuzz.changed, fuzz.failure, fuzz.readers

CASES = sorted(path for path in (Path(__file__).parent / "corpus").glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_failed_is_refused_in_one_line(path, tmp_path):
    """Each kept case is read, or refused by an error of ours on one line, at once."""
    assert failure(readers()[path.parent.name], path.read_bytes(), tmp_path) is None


@pytest.mark.parametrize("name", readers())
def test_examples_are_read(name, tmp_path):
    """What is changed is right before: otherwise nothing deep would ever be reached."""
    for example in readers()[name].examples:
        readers()[name].read(example, tmp_path)


@pytest.mark.parametrize("name", readers())
def test_changed_examples_are_read_or_refused(name, tmp_path):
    """Bytes taken out, doubled, flipped or put in never give a traceback, and never hang."""
    rng = random.Random(0)
    reader = readers()[name]
    for _ in range(150):
        data = changed(rng.choice(reader.examples), rng)
        assert failure(reader, data, tmp_path) is None, data


def test_a_traceback_is_a_failure(tmp_path):
    """The check itself can fail: on another exception, on several lines, and on a hang."""

    def raises(error):
        def read(data, folder):
            raise error

        return fuzz.Reader(read, (b"",))

    assert failure(raises(KeyError("x")), b"", tmp_path) == "KeyError: 'x'"
    assert failure(raises(DataError("one\ntwo")), b"", tmp_path)
    assert failure(raises(DataError("one")), b"", tmp_path) is None
