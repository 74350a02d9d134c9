"""`bench tune parameters`: which points of a grid are run, and what the page says of them."""

from dataclasses import replace

import pytest

from bench.cli import main
from bench.config import System, read_experiment
from bench.runner import measure_run
from bench.system import search_suite
from bench.tune.parameters import dimensions, make_of, search_parameters, study_name
from qrels.suites import load_suite
from reports.tuning import ParameterSearch, Trial, parameters_page

pytest.importorskip("optuna")

GRIDS = """[[system]]
retriever = "bm25"
params = { k1 = [0.5, 1.2], b = [0.0, 0.4] }
[[system]]
retriever = "bm25"
name = "method"
params = { method = ["atire", "robertson"] }
"""


@pytest.fixture
def write(tmp_path):
    """write(text) is the path of an experiment file on `datasets` with that text behind."""

    def made(text, head=""):
        path = tmp_path / "x.toml"
        path.write_text(f'suites = ["datasets"]\n{head}\n{text}', encoding="utf-8")
        return path

    return made


def mean_of(suite, system, measure):
    suite = replace(suite, measures=[measure])
    return measure_run(suite, search_suite(suite, system))[measure].mean()


def ran(err):
    """The systems that the progress lines name, in order."""
    return [line.split()[1].rstrip(":") for line in err.splitlines() if line.startswith("[")]


def test_systems_of_different_make_are_all_reached_and_none_twice(write, capsys):
    """With more trials than points every point of every grid is run once, and the best is best."""
    path = write(GRIDS)
    assert main(["tune", "parameters", str(path), "--no-latency"]) == 0
    out, err = capsys.readouterr()
    systems = {system.name: system for system in read_experiment(path).systems}
    assert sorted(ran(err)) == sorted(systems)
    assert "6 trials, of 6 points of the grid, on datasets (dev)" in out
    dev = load_suite("datasets", "dev")
    means = {name: mean_of(dev, one, "nDCG@10") for name, one in systems.items()}
    assert f"**{max(means, key=means.get)}**: nDCG@10 {max(means.values()):.3f}" in out


def test_trials_are_as_many_as_asked(write, capsys):
    """Fewer trials than points run just as many, and going on runs only others."""
    path = write(GRIDS)
    arguments = ["tune", "parameters", str(path), "--no-latency"]
    study = ["--study", str(path.with_name("s.db"))]
    assert main([*arguments, *study, "--trials", "3"]) == 0
    first = ran(capsys.readouterr().err)
    assert len(set(first)) == 3
    assert main([*arguments, *study, "--trials", "5"]) == 0
    second = ran(capsys.readouterr().err)
    assert len(set(first + second)) == 5


def test_another_grid_in_the_same_file_is_another_study(write, tmp_path, capsys):
    """A study of other systems is left alone: none of its systems is reported."""
    study = ["--no-latency", "--study", str(tmp_path / "s.db")]
    assert main(["tune", "parameters", str(write(GRIDS)), *study]) == 0
    capsys.readouterr()
    other = '[[system]]\nretriever = "bm25"\nparams = { stemmer = ["english", "german"] }\n'
    assert main(["tune", "parameters", str(write(other)), *study]) == 0
    out, err = capsys.readouterr()
    assert len(ran(err)) == 2
    assert "stemmer" in out
    assert "k1" not in out


def test_the_experiment_says_split_measure_and_depth(write, capsys):
    """split, measures and depth of the file hold, and the page names the split."""
    path = write(GRIDS, 'split = "test"\nmeasures = ["RR@10", "nDCG@10"]\ndepth = 1')
    assert main(["tune", "parameters", str(path), "--no-latency"]) == 0
    out, _ = capsys.readouterr()
    assert "on datasets (test)" in out
    assert "MRR(rel=2)@10" in out
    assert "confirmed on no other queries" in out
    suite = replace(load_suite("datasets", "test"), measures=["RR(rel=2)@10"], depth=1)
    systems = read_experiment(path).systems
    best = max(mean_of(suite, system, "RR(rel=2)@10") for system in systems)
    assert f"MRR(rel=2)@10 {best:.3f}." in out


def test_a_point_that_fails_is_named_and_left_out(write, capsys):
    """The others are searched on; where all fail it is one line and exit code 2."""
    text = '[[system]]\nretriever = "bm25"\nparams = { k1 = [-1, 0.9], b = [0.2, 0.4] }\n'
    assert main(["tune", "parameters", str(write(text)), "--no-latency"]) == 0
    out, err = capsys.readouterr()
    assert "2 systems failed: **bm25?k1=-1&amp;b=0.2**, **bm25?k1=-1&amp;b=0.4**." in out
    assert "k1 is -1" in err
    assert "2 trials, of 4 points" in out
    none = text.replace("-1, 0.9", "-1, -2")
    assert main(["tune", "parameters", str(write(none)), "--no-latency"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("bench: no trial finished")


@pytest.mark.parametrize("study", ["bad.db", "nowhere/x.db"])
def test_a_study_that_cannot_be_used_is_one_line(write, tmp_path, capsys, study):
    """A file that is no database, or in no folder, exits with 2 and is named."""
    (tmp_path / "bad.db").write_bytes(bytes(range(256)) * 16)
    path = str(tmp_path / study)
    assert main(["tune", "parameters", str(write(GRIDS)), "--no-latency", "--study", path]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"bench: {path}: ")
    assert error.count("\n") == 1


def test_a_relevance_level_that_is_named_holds():
    """RR(rel=1)@10 on a suite of level 2 is measured with level 1."""
    dev = load_suite("datasets", "dev")
    system = System("bm25", "bm25")
    _, found = search_parameters(dev, None, [system], 1, "RR@10", None, 13, None)
    assert found.dev == mean_of(dev, system, "RR@10")
    assert found.dev != mean_of(dev, system, "RR(rel=2)@10")


def test_makes_have_dimensions_of_their_own(write):
    """Systems are of one make where the same parameters are given."""
    systems = read_experiment(write(GRIDS)).systems
    makes = list(dict.fromkeys(map(make_of, systems)))
    assert makes == ["bm25(b, k1)", "bm25(method)"]
    assert dimensions([s for s in systems if make_of(s) == makes[1]]) == {
        "method": ("atire", "robertson")
    }


def test_a_study_is_found_by_all_that_its_figures_depend_on(write):
    """Another depth, measure or grid is another study."""
    dev, systems = load_suite("datasets", "dev"), read_experiment(write(GRIDS)).systems
    names = {
        study_name(dev, systems, "RR", None),
        study_name(dev, systems[1:], "RR", None),
        study_name(dev, systems, "AP", None),
        study_name(replace(dev, depth=7), systems, "RR", None),
    }
    assert len(names) == 4
    assert study_name(dev, list(systems), "RR", None) in names


def test_names_from_data_are_escaped():
    """A system's name cannot break the page or its table."""
    name = "a|<b>"
    page = parameters_page(
        ParameterSearch(
            suite="s|", split="dev", measure="RR", points=1, failed=("x|y",),
            trials=(Trial(name, 0.5, 2e6, True),), best=name, dev=0.5, test_split="test", test=0.25,
        ),
        "suites = []",
    )  # fmt: skip
    assert page.count("a\\|&lt;b&gt;") == 2
    assert "**x\\|y**" in page
    assert "on s\\| (dev)" in page
    assert "On test it has 0.250: optimism +0.250." in page
    assert "2.00 ms" in page
