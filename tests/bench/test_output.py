"""A result folder appears whole or not at all."""

import pytest

from bench.output import whole_folder
from qrels.errors import UsageError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_when_the_block_is_done(tmp_path):
    """Nothing is at the target before the end, and nothing else is left beside it."""
    target = tmp_path / "deep" / "out"
    with whole_folder(target) as draft:
        (draft / "record.json").write_text("{}")
        assert not target.exists()
    assert names(target) == ["record.json"]
    assert names(target.parent) == ["out"]


def test_an_earlier_result_is_replaced_whole(tmp_path):
    """Files of the old result do not survive in the new one."""
    target = tmp_path / "out"
    for name in ("old.txt", "new.txt"):
        with whole_folder(target) as draft:
            (draft / "record.json").write_text("{}")
            (draft / name).write_text(name)
    assert names(target) == ["new.txt", "record.json"]
    assert names(tmp_path) == ["out"]


def test_a_failure_leaves_the_earlier_result(tmp_path):
    """Whatever is raised inside, the target is as it was."""
    target = tmp_path / "out"
    with whole_folder(target) as draft:
        (draft / "record.json").write_text("first")
    with pytest.raises(KeyboardInterrupt), whole_folder(target) as draft:  # noqa: PT012
        (draft / "record.json").write_text("second")
        raise KeyboardInterrupt
    assert (target / "record.json").read_text() == "first"
    assert names(tmp_path) == ["out"]


def test_other_peoples_files_are_never_replaced(tmp_path):
    """A folder that holds something else, or a file, is refused by name."""
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="other files"), whole_folder(tmp_path):
        pass
    with pytest.raises(UsageError, match="is a file"), whole_folder(tmp_path / "thesis.txt"):
        pass
    assert names(tmp_path) == ["thesis.txt"]
