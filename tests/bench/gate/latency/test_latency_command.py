"""`bench gate --against` as a user calls it. No test asserts a time or a verdict on one."""

import json
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from bench.cli import main

VERDICTS = {"no slower": 0, "slower": 1, "cannot tell": 3}
BRIEF = ["--starts", "2", "--rounds", "2"]

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def here(folder, monkeypatch):
    """The folder as working directory and first on the search path, as on the command line."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setenv("BENCH_CACHE", str(folder / "cache"))
    # the folder must not count as part of a repository around the place where tests write
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    return folder


def git(folder, *arguments):
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def repository(here):
    """The folder as a repository: at `old` the plug-in fails as it is built, now it works."""
    now = (here / "plainly.py").read_text()
    old = now.replace("self.size = len(corpus)", "raise ValueError('this is the old code')")
    git(here, "init", "--quiet")
    (here / "plainly.py").write_text(old)
    git(here, "add", "-A")
    git(here, "commit", "--quiet", "-m", "old")
    git(here, "tag", "old")
    (here / "plainly.py").write_text(now)
    git(here, "commit", "--quiet", "-am", "new")
    return here


def no_worktree_left(folder):
    return len(git(folder, "worktree", "list").splitlines()) == 1


def gate(*arguments):
    return main(["gate", "--suite", "small", *BRIEF, *arguments])


def test_two_systems(here, capsys):
    """Every form of the answer is written, and the exit code is that of the verdict."""
    code = gate("--against", "bm25", "--system", "bm25?k1=1.2", "--json", "o.json",
                "--markdown", "o.md", "--junit", "o.xml", "--annotations")  # fmt: skip
    found = json.loads((here / "o.json").read_text())
    out, err = capsys.readouterr()
    assert code == VERDICTS[found["verdict"]]
    assert found["against"] == "system bm25"
    [cell] = found["cells"]
    assert (cell["system"], cell["baseline"]) == ("bm25?k1=1.2", "bm25")
    assert (cell["rounds"], cell["queries"]) == (2, 3)
    assert [stage["name"] for stage in cell["stages"]] == ["encode", "search", "total"]
    page = (here / "o.md").read_text()
    assert out.startswith(page)
    assert page.startswith(f"**{found['verdict'].capitalize()}: ")
    assert "::" in out.removeprefix(page)
    assert ElementTree.parse(here / "o.xml").getroot().get("tests") == "1"
    assert err.splitlines()[-1].startswith("bench gate: ")


def test_experiment_file(here):
    """Systems pair by name, and the suites are those of the file."""
    (here / "old.toml").write_text(
        'suites = ["small"]\n[[system]]\nname = "a"\nretriever = "bm25"\n'
        '[[system]]\nname = "b"\nretriever = "plainly:Plain"\n'
    )
    code = main(["gate", "--against", "old.toml", "--experiment", "old.toml", *BRIEF,
                 "--json", "o.json"])  # fmt: skip
    found = json.loads((here / "o.json").read_text())
    assert code == VERDICTS[found["verdict"]]
    assert [(cell["system"], cell["baseline"]) for cell in found["cells"]] == [
        ("a", "a"),
        ("b", "b"),
    ]


def test_a_revision_runs_its_own_code(repository, capsys):
    """The baseline is built by the plug-in as it was; no worktree stays behind a failure."""
    assert gate("--against", "old", "--system", "plainly:Plain") == 2
    assert "the baseline: ValueError: this is the old code" in capsys.readouterr().err
    assert no_worktree_left(repository)


def test_the_candidate_is_the_tree_as_it_stands(repository, capsys):
    """Changes that are not committed are timed."""
    plugin = repository / "plainly.py"
    plugin.write_text(plugin.read_text().replace("self.size = len(corpus)", "raise OSError('now')"))
    assert gate("--against", "HEAD", "--system", "plainly:Plain") == 2
    assert "the candidate: OSError: now" in capsys.readouterr().err
    assert no_worktree_left(repository)


def test_a_revision_against_now(repository, capsys):
    """It works to the end, says which commit it was, and leaves no worktree."""
    code = gate("--against", "HEAD", "--system", "plainly:Plain", "--json", "o.json")
    found = json.loads((repository / "o.json").read_text())
    assert code == VERDICTS[found["verdict"]]
    commit = git(repository, "rev-parse", "HEAD").strip()
    assert found["against"] == f"revision HEAD ({commit[:9]})"
    assert no_worktree_left(repository)


def test_from_a_folder_inside_the_repository(repository, monkeypatch, capsys):
    """A folder that the revision lacks is said to be so."""
    inner = repository / "later"
    shutil.copytree(repository / "small", inner / "small")
    monkeypatch.chdir(inner)
    assert gate("--against", "old", "--system", "plainly:Plain") == 2
    assert "'old' has no folder later" in capsys.readouterr().err
    assert no_worktree_left(repository)


def test_code_from_elsewhere_only_is_refused(repository, capsys):
    """bm25 is not of this repository: both sides would be the same, and the gate would pass."""
    assert gate("--against", "HEAD", "--system", "bm25") == 2
    assert "nothing that 'bm25' runs comes from this repository" in capsys.readouterr().err
    assert no_worktree_left(repository)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "nosuch", "--suite", "small"], "no experiment file, no git revision here"),
        (["--against", "HEAD", "--suite", "small"], "no experiment file, no git revision here"),
        (["--against", "gone.toml", "--suite", "small"], "gone.toml: No such file"),
        (["--against", "bm25"], "what to time? give --suite"),
        (["--against", "bm25", "--suite", "small"], "has no counterpart in system bm25"),
        (["--against", "bm25", "--suite", "small", "--system", "bm25", "--baseline", "b.json"],
         "--baseline belongs to the quality gate"),
        (["--against", "bm25", "--suite", "small", "--system", "bm25", "--starts", "1"],
         "at least 2 are needed"),
        (["--against", "bm25", "--suite", "small", "--system", "bm25", "--alpha", "0"],
         "--alpha: 0.0"),
        (["--against", "bm25", "--suite", "small", "--system", "plainly:Plain?die=true"],
         "died with exit code 7"),
    ],
    ids=["unknown", "no-repository", "no-file", "no-suite", "no-counterpart", "both-gates",
         "one-start", "alpha", "dies"],
)  # fmt: skip
def test_each_mistake_is_one_clear_line(here, capsys, arguments, message):
    assert main(["gate", *arguments]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("bench: ")
    assert message in last


@pytest.mark.parametrize("text", ["0%", "fast", "-5", "nan"])
def test_a_slowdown_must_make_sense(here, capsys, text):
    with pytest.raises(SystemExit) as stop:
        gate("--against", "bm25", f"--max-slowdown={text}")
    assert stop.value.code == 2
    assert "is not a slow-down such as 20%" in capsys.readouterr().err
