"""What the checks found stands in the report where it is more than notes."""

from dataclasses import replace

import pytest

from reports.markdown import render
from reports.record import FindingInfo, load, save

NOTE = FindingInfo("R5", "note", "three short rankings")
WARNING = FindingInfo("R7", "warning", "two | unjudged <b>", "judge `them`")
ERROR = FindingInfo("V3", "error", "a value of 1.5", "mend it")


@pytest.mark.parametrize("findings", [(), (NOTE,)], ids=["none", "a note"])
def test_nothing_but_notes_is_left_out(record, findings):
    """A report with nothing to look at says nothing of checks."""
    assert "hecks" not in render(replace(record, findings=findings), {})


def test_the_worst_come_first_with_what_to_do(record):
    """After the answer a sentence leads there; data is escaped; notes follow at the end."""
    text = render(replace(record, findings=(NOTE, WARNING, ERROR)), {})
    assert "The [checks](#checks) found 1 error and 1 warning." in text
    places = [text.index(f"**{level}**") for level in ("error", "warning", "note")]
    assert places == sorted(places)
    assert text.index("[checks]") < text.index("## Leaderboard") < text.index("## Checks")
    assert r"two \| unjudged &lt;b&gt;" in text
    assert r"To do: judge \`them\`." in text


def test_many_of_one_kind_are_counted(record):
    """Sixty systems do not fill sixty lines."""
    found = tuple(replace(WARNING, message=f"system {i}") for i in range(60))
    text = render(replace(record, findings=found), {})
    assert "system 4" in text
    assert "system 5" not in text
    assert "And 55 more of these." in text
    assert text.count("To do:") == 1


def test_findings_come_back_as_saved(record, tmp_path):
    """With every field."""
    made = replace(record, findings=(NOTE, WARNING))
    save(made, tmp_path)
    assert load(tmp_path) == made
