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
    for name in ("per_query.csv", "report.md"):
        with whole_folder(target) as draft:
            (draft / "record.json").write_text("{}")
            (draft / name).write_text(name)
    assert names(target) == ["record.json", "report.md"]
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


@pytest.mark.parametrize("beside", [[], ["record.json"]])
def test_other_peoples_files_are_never_replaced(tmp_path, beside):
    """A folder that holds something else, a record or not, or a file, is refused by name."""
    for name in ("thesis.txt", *beside):
        (tmp_path / name).write_text("years of work")
    with pytest.raises(UsageError, match=r"holds 'thesis\.txt'"), whole_folder(tmp_path):
        pass
    with pytest.raises(UsageError, match="is a file"), whole_folder(tmp_path / "thesis.txt"):
        pass
    assert names(tmp_path) == sorted(["thesis.txt", *beside])


def test_a_link_is_followed(tmp_path):
    """The result goes where the link points, and the link stays."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with whole_folder(tmp_path / "link") as draft:
        (draft / "record.json").write_text("{}")
    assert names(tmp_path / "real") == ["record.json"]
    assert names(tmp_path) == ["link", "real"]


def test_a_swap_that_fails_loses_neither_result(tmp_path, monkeypatch):
    """The earlier result is put back, and the message says where the new one is."""
    from pathlib import Path

    target = tmp_path / "out"
    target.mkdir()
    (target / "record.json").write_text("old")
    real = Path.replace

    def refuses(self, other):
        if Path(other) == target and not self.name.endswith(".old"):
            raise OSError(16, "Device or resource busy", str(other))
        return real(self, other)

    monkeypatch.setattr(Path, "replace", refuses)
    with pytest.raises(UsageError, match="the result is in") as raised, whole_folder(target) as d:
        (d / "record.json").write_text("new")
    assert (target / "record.json").read_text() == "old"
    kept = Path(str(raised.value).rpartition("the result is in ")[2])
    assert (kept / "record.json").read_text() == "new"
