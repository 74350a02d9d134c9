"""`bench tune`: searches whose figures are those of the real systems."""

import json
import tomllib
from dataclasses import replace

import numpy as np
import pytest

from bench.cli import main
from bench.config import System, parse_system, read_experiment
from bench.runner import measure_run
from bench.system import search_suite
from bench.tune.depth import depth_curve
from bench.tune.parameters import dimensions
from bench.tune.parts import measured, parts_of
from bench.tune.weights import search_weights, weightings
from qrels.errors import UsageError
from qrels.suites import load_suite
from rerankers.mmr import MMR

HASHED = 'fielded?encoder="hashing"'


@pytest.fixture(scope="module")
def dev():
    return load_suite("datasets", "dev")


def real(suite, spec, measure):
    return measure_run(replace(suite, measures=[measure]), search_suite(suite, parse_system(spec)))[
        measure
    ]


@pytest.mark.parametrize("measure", ["nDCG@10", "R(rel=2)@100"])
@pytest.mark.parametrize("normalize", ["false", "true"])
def test_field_weightings_measure_as_the_real_retriever(dev, normalize, measure):
    """Every weighting's values are those of `fielded` run with these weights."""
    spec = f"{HASHED}&normalize={normalize}"
    parts = parts_of(dev, parse_system(spec))
    weights = weightings(np.ones(len(parts.names)), 12, np.random.default_rng(5))[-4:]
    for row, found in zip(weights, measured(parts, dev, measure, weights), strict=True):
        given = json.dumps({n: float(w) for n, w in zip(parts.names, row, strict=True) if w})
        wanted = real(dev, f"{spec}&weights={given}", measure)
        off = np.abs(found - wanted) > 1e-9
        assert off.sum() <= 1  # hashed vectors tie often, and sums in another order flip a tie


@pytest.mark.parametrize("method", ["rrf", "minmax", "zscore"])
def test_fusion_weightings_measure_as_the_real_hybrid(dev, method):
    """Every weighting's values are those of `hybrid` run with these weights."""
    spec = f'hybrid?retrievers=["bm25","lsa"]&method="{method}"'
    parts = parts_of(dev, parse_system(spec))
    weights = np.array([[0.3, 0.7], [1.0, 1.0]])
    for row, found in zip(weights, measured(parts, dev, "nDCG@10", weights), strict=True):
        wanted = real(dev, f"{spec}&weights={json.dumps(row.tolist())}", "nDCG@10")
        assert found.mean() == pytest.approx(wanted.mean(), abs=1e-3)


def test_the_own_document_stays_hidden(dev):
    """Under exclude_self a weighting never returns the query's own document."""
    ids = [*dev.corpus.doc_ids[: len(dev.queries)]]
    suite = replace(
        dev,
        queries=replace(dev.queries, query_ids=ids),
        rules=replace(dev.rules, exclude_self=True),
    )
    for spec in (HASHED, 'hybrid?retrievers=["bm25","lsa"]'):
        parts = parts_of(suite, parse_system(spec))
        docs = parts.ranked(np.ones((2, len(parts.names))), len(suite.corpus)).docs
        own = np.tile(np.arange(len(ids)), 2)
        assert not (docs == own[:, None]).any()
        free = replace(suite, rules=replace(suite.rules, exclude_self=False))
        docs = (
            parts_of(free, parse_system(spec))
            .ranked(np.ones((2, len(parts.names))), len(suite.corpus))
            .docs
        )
        assert (docs == own[:, None]).any()  # else nothing was hidden above


def test_weightings_start_where_the_system_is():
    """The start, equal weights and each part alone come first; all sum to one."""
    found = weightings(np.array([2.0, 1.0, 1.0]), 50, np.random.default_rng(1))
    assert found[0].tolist() == [0.5, 0.25, 0.25]
    assert found[2:5].tolist() == np.eye(3).tolist()
    assert len(found) == 50
    assert np.allclose(found.sum(axis=1), 1, atol=2e-3)
    assert len(weightings(np.ones(3), 2, np.random.default_rng(1))) == 2


@pytest.mark.parametrize(
    ("parts", "trials", "expected"), [(1, 50, 1), (2, 3000, 1001), (5, 900, 900)]
)
def test_no_weighting_is_tried_twice(parts, trials, expected):
    """All are different, none is found by luck alone; there are fewer where there are no more."""
    found = weightings(np.ones(parts), trials, np.random.default_rng(1))
    assert len(np.unique(found, axis=0)) == len(found) <= trials
    assert expected * 0.99 <= len(found) <= expected
    again = weightings(np.ones(parts), trials, np.random.default_rng(1))
    assert np.array_equal(found, again)


def test_a_search_reports_what_is_left_on_test(dev):
    """The best on dev is run for real on both splits, beside the weights it started from."""
    test = load_suite("datasets", "test")
    found = search_weights(dev, test, parse_system(HASHED), 200, "nDCG@10", 3)
    page = found.page
    assert page.splits == ("dev", "test")
    assert page.chosen[0] == pytest.approx(page.best[0].mean, abs=1e-3)
    assert page.chosen[0] >= page.default[0] - 1e-3
    given = json.dumps(found.system.params["weights"])
    assert page.chosen[1] == real(test, f"{HASHED}&weights={given}", "nDCG@10").mean()
    assert page.default[1] == real(test, HASHED, "nDCG@10").mean()
    assert page.gains[1][0] == pytest.approx(page.chosen[1] - page.default[1])


@pytest.mark.parametrize("spec", ["bm25", "dense", "fielded+mmr", 'fielded?mode="joined"'])
def test_systems_without_weights_are_refused(dev, spec):
    """What has no weights is said in one line."""
    with pytest.raises(UsageError):
        parts_of(dev, parse_system(spec))


@pytest.fixture
def reranked():
    """A cheap pointwise reranker and one that is not, by spec."""
    return {"pointwise": "bm25+late-interaction", "listwise": "bm25+mmr"}


@pytest.mark.parametrize("kind", ["pointwise", "listwise"])
def test_a_depth_curve_is_what_reranking_at_each_depth_gives(dev, reranked, kind):
    """From one pass, or from one a depth, the means are those of the system at that depth."""
    encoder = "hashing" if kind == "listwise" else "minilm"
    spec = f'{reranked[kind]}?reranker.encoder="{encoder}"'
    small = replace(dev, depth=20)
    curve = depth_curve(small, parse_system(spec), "nDCG@10", (3, 10, 20, 50))
    assert curve.depths == (0, 3, 10, 20)
    assert curve.passes == (1 if kind == "pointwise" else 3)
    for depth, mean in zip(curve.depths[1:], curve.means[1:], strict=True):
        wanted = real(small, f"{spec}&rerank_depth={depth}", "nDCG@10").mean()
        assert mean == pytest.approx(wanted, abs=1e-12)
    assert curve.means[0] == real(small, "bm25", "nDCG@10").mean()
    assert all(c >= m - 1e-12 for c, m in zip(curve.ceilings, curve.means, strict=True))
    assert list(curve.ceilings) == sorted(curve.ceilings)


class NotPointwise(MMR):
    """One that says outright what it is not."""

    pointwise = False


def test_a_reranker_that_says_it_is_not_pointwise_scores_at_each_depth(dev):
    """Having the attribute is not enough: it must be true."""
    small = replace(dev, depth=10)
    system = System("x", "bm25", {}, f"{__name__}:NotPointwise", {"encoder": "hashing"})
    assert depth_curve(small, system, "nDCG@10", (3, 10)).passes == 2


def test_a_depth_curve_needs_a_reranker(dev):
    """A system that reranks nothing is refused by name."""
    with pytest.raises(UsageError, match="bm25 has no reranker"):
        depth_curve(dev, parse_system("bm25"), "nDCG@10")


GRID = """suites = ["datasets"]
[[system]]
retriever = "bm25"
params = { k1 = [0.5, 1.2], b = [0.0, 0.4, 0.8] }
"""


def test_parameters_are_searched_and_gone_on_with(tmp_path, capsys):
    """A study in a file goes on where it was: the second call only runs what is missing."""
    pytest.importorskip("optuna")
    (tmp_path / "x.toml").write_text(GRID)
    arguments = ["tune", "parameters", str(tmp_path / "x.toml"), "--no-latency",
                 "--study", str(tmp_path / "s.db")]  # fmt: skip
    assert main([*arguments, "--trials", "4"]) == 0
    first = capsys.readouterr()
    assert first.err.count("nDCG@10") == 4
    assert main([*arguments, "--trials", "6"]) == 0
    second = capsys.readouterr()
    assert second.err.count("nDCG@10") == 2
    assert "On test it has" in second.out
    toml = second.out.partition("In an experiment file:")[2].split("```")[1]
    assert tomllib.loads(toml)["system"][0]["retriever"] == "bm25"


def test_dimensions_are_what_differs(tmp_path):
    """Only parameters with more than one value are searched."""
    (tmp_path / "x.toml").write_text(GRID)
    systems = read_experiment(tmp_path / "x.toml").systems
    assert dimensions(systems) == {"k1": (0.5, 1.2), "b": (0.0, 0.4, 0.8)}


def test_the_command_writes_its_page(tmp_path, capsys):
    """`bench tune weights` prints the page and writes it; the TOML in it can be read."""
    page = tmp_path / "page.md"
    arguments = ["--suite", "datasets", "--system", HASHED, "--trials", "50", "--out", str(page)]
    assert main(["tune", "weights", *arguments]) == 0
    out = capsys.readouterr().out
    assert page.read_text("utf-8") == out
    assert "Tried on dev: 50 weightings" in out
    assert "optimism" in out
    tomllib.loads(out.partition("In an experiment file:")[2].split("```")[1])
    assert main(["tune", "depth", "--suite", "datasets", "--system", "bm25"]) == 2
