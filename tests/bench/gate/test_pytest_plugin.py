"""`def test_quality(bench_gate): ...` in a project of its own."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import scipy.special  # noqa: F401  kept: the run within takes what it imported away with it

from bench.cli import main

pytest_plugins = ["pytester"]

PLUGIN = ("-p", "bench.pytest_plugin", "-p", "no:cacheprovider")


@pytest.fixture
def project(pytester, make_result, accepted, monkeypatch):
    """project(body, name) runs a test of that body, on the result called name."""
    monkeypatch.setenv("BENCH_CACHE", str(pytester.path / "cache"))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # whether it is installed or not
    for name, by in {
        "old": 0.0,
        "worse": -np.linspace(0.1, 0.3, 40),
        "unclear": np.tile([0.2, -0.21], 20),
    }.items():
        shutil.copytree(make_result(name, {"bm25": accepted + by}), pytester.path / name)
    main(["baseline", "save", str(pytester.path / "old"), "--out", str(pytester.path / "b.json")])

    def run(body, *options, ini=""):
        pytester.makepyfile(f"def test_quality(bench_gate):\n    {body}\n")
        pytester.makeini(f"[pytest]\n{ini}\n")
        return pytester.runpytest_inprocess(*PLUGIN, *options)

    return run


@pytest.mark.parametrize(
    ("candidate", "options", "outcome", "says"),
    [
        ("old", "", "passed", ""),
        ("old/record.json", ", exact=True", "passed", ""),
        ("worse", ", margin=0.5", "passed", ""),
        ("worse", "", "failed", "Worse: nDCG@10 of bm25 on toy lost 0.200"),
        ("unclear", "", "skipped", "Cannot tell: nDCG@10 of bm25 on toy"),
        ("unclear", ", inconclusive='fail'", "failed", "Cannot tell: nDCG@10 of bm25 on toy"),
        ("unclear", ", inconclusive='pass'", "passed", ""),
        ("old", ", inconclusive='psas'", "failed", "did you mean 'pass'"),
        ("old", ", system='bm52'", "failed", "no system 'bm52'"),
        ("old", ", margins=0.1", "failed", "did you mean 'margin'"),
        ("nowhere", "", "failed", "nowhere"),
    ],
)
def test_a_test_passes_fails_or_is_skipped(project, candidate, options, outcome, says):
    """By the verdict; a mistake fails with its reason."""
    result = project(f"bench_gate({candidate!r}, baseline='b.json'{options})", "-rs")
    result.assert_outcomes(**{outcome: 1})
    assert says in result.stdout.str()


def test_without_a_baseline_it_fails(project):
    """The message says where one may be named."""
    result = project("bench_gate('old')")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no baseline; give baseline=, --bench-baseline or*"])


def test_the_failure_is_the_page(project):
    """Its first line is the verdict; the plug-in's own frames are left out."""
    result = project("bench_gate('worse', baseline='b.json')")
    result.stdout.fnmatch_lines(
        ["E*AssertionError: ?*Worse: nDCG@10 of bm25 on toy lost 0.200*", "*Queries that changed*"]
    )
    result.stdout.no_fnmatch_line("*_candidate*")


@pytest.mark.parametrize(
    ("options", "ini"),
    [(["--bench-baseline", "b.json"], ""), ([], "bench_baseline = b.json")],
    ids=["option", "configuration"],
)
def test_the_baseline_may_be_named_once_for_all(project, options, ini):
    """On the command line, or in the project's configuration."""
    project("bench_gate('old')", *options, ini=ini).assert_outcomes(passed=1)


def test_a_rules_file_serves_both_command_and_test(project, pytester):
    """It takes the place of keywords, which beside it are refused."""
    (pytester.path / "gate.toml").write_text("[gate]\nmargin = 0.5\n")
    call = "bench_gate('worse', baseline='b.json', rules='gate.toml'{})"
    project(call.format("")).assert_outcomes(passed=1)
    project(call.format(", margin=0.1")).assert_outcomes(failed=1)


def test_an_experiment_is_run(project, pytester, monkeypatch):
    """A TOML file whose systems are run on the baseline's suites, by its own rules."""
    monkeypatch.chdir(pytester.path)
    (pytester.path / "s.toml").write_text(
        'suites = ["models"]\n[gate]\nmargin = 0.04\n'
        '[[system]]\nname = "mine"\nretriever = "bm25"\n'
    )
    assert main(["run", "--experiment", "s.toml", "--no-latency", "--out", "one"]) == 0
    assert main(["baseline", "save", "one", "--out", "mine.json"]) == 0
    body = "assert bench_gate('s.toml', baseline='mine.json').cells[0].margin == 0.04"
    project(body).assert_outcomes(passed=1)


def test_it_costs_nothing_where_it_is_not_used():
    """Loading the plug-in imports nothing of ours but its own package, and not NumPy."""
    code = (
        "import sys, bench.pytest_plugin\n"
        "ours = {'bench', 'reports', 'qrels', 'retrievers', 'rerankers', 'encoders', 'numpy'}\n"
        "print(sorted(n for n in sys.modules if n.partition('.')[0] in ours))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert answer.strip() == "['bench', 'bench.pytest_plugin']"
