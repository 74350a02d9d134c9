"""kill -9 at random moments: five of each kind here; `python -m tools.reliability` does 100."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_nothing_is_lost_to_kills(tmp_path):
    """After each kill the next one finds nothing half-written, and ends as if uninterrupted."""
    command = [sys.executable, "-m", "tools.reliability", "--kills", "5", "--seed", "3"]
    done = subprocess.run(
        [*command, "--no-tests", "--out", str(tmp_path / "page.md")],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^\| .*$", (tmp_path / "page.md").read_text(), re.MULTILINE)[2:]
    assert len(rows) == 4
    tried = [[cell.strip() for cell in row.strip("|").split("|")][2:] for row in rows]
    assert [(row[0], row[3], row[4]) for row in tried] == [("5", "5", "0")] * 4
    assert sum(int(row[1]) for row in tried) > 0, "no process was killed while it worked"
