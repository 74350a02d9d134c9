"""The gate in a project's own tests: `def test_quality(bench_gate): bench_gate()`.

    def test_quality(bench_gate):
        bench_gate("search.toml", margin=0.02, system="bm25")

pytest loads this in every project that has it installed: nothing of ours is imported before a
test asks for the fixture.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bench.config import Experiment
    from bench.gate.rules import Rules
    from reports.verdict import GateReport

INCONCLUSIVE = ("skip", "pass", "fail")


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "what bench_gate compares with, as `bench baseline save` wrote it"
    parser.getgroup("bench").addoption("--bench-baseline", metavar="FILE.json", help=text)
    parser.addini("bench_baseline", f"{text}; relative to the root of the project", default="")


@pytest.fixture
def bench_gate(request: pytest.FixtureRequest, tmp_path: Path) -> "Callable[..., GateReport]":
    """Fails the test where quality is worse than the baseline; see `gate` below."""

    def gate(
        candidate: "str | Path | Experiment | None" = None,
        *,
        baseline: str | Path | None = None,
        rules: str | Path | None = None,
        system: str | tuple[str, ...] = (),
        exact: bool = False,
        inconclusive: str | None = None,
        device: str = "cpu",
        **gate_table: Any,  # checked as the [gate] table of a file is
    ) -> "GateReport":
        """The report, where nothing is worse than *baseline*; AssertionError with it otherwise.

        candidate: a result folder; or an experiment, as an object or a TOML file, whose systems
        are run; by default the systems of the baseline are. baseline: by default
        --bench-baseline, else bench_baseline of the configuration. rules: a TOML file with a
        [gate] table; or give its keys here: margin=0.01, must_pass=[...]. Paths are relative to
        the root of the project. inconclusive: "skip" (the default), "pass" or "fail", for
        *cannot tell*. What cannot be compared fails the test, with the reason.
        """
        __tracebackhide__ = True
        from bench.config import Experiment
        from bench.gate.baseline import load as load_baseline
        from bench.gate.report import gate as decide
        from bench.gate.run import run_cells
        from qrels.errors import BenchError, unknown
        from reports.record import RecordError, load
        from reports.verdict import sentence, to_markdown

        root = request.config.rootpath
        systems = (system,) if isinstance(system, str) else system
        try:
            accepted = load_baseline(path := _baseline(request.config, baseline))
            what = _candidate(candidate, root)
            own = what.gate if isinstance(what, Experiment) else {}
            made = _rules(root / rules if rules else None, own, gate_table)
            then = inconclusive or made.inconclusive or "skip"
            if then not in INCONCLUSIVE:
                raise unknown("choice for inconclusive", then, INCONCLUSIVE)
            if isinstance(what, Experiment):
                folder = tmp_path
                record = run_cells(what, accepted, made, folder, systems, device)
            else:
                folder, record = what.parent if what.is_file() else what, load(what)
            report = decide(record, folder, accepted, made, path.name, exact, systems)
        except (BenchError, RecordError) as error:
            pytest.fail(f"bench_gate: {error}", pytrace=False)
        request.node.user_properties.append(("bench_gate", sentence(report)))
        if report.verdict == "worse" or (report.verdict == "cannot tell" and then == "fail"):
            raise AssertionError(to_markdown(report))
        if report.verdict == "cannot tell" and then == "skip":
            pytest.skip(sentence(report))
        return report

    return gate


def _baseline(config: pytest.Config, given: str | Path | None) -> Path:
    from qrels.errors import UsageError

    if given:
        return config.rootpath / given
    if option := config.getoption("--bench-baseline"):
        return config.invocation_params.dir / str(option)
    if entry := config.getini("bench_baseline"):
        return config.rootpath / str(entry)
    raise UsageError(
        "bench_gate has no baseline; give baseline=, --bench-baseline or bench_baseline in the "
        "configuration of pytest"
    )


def _candidate(given: "str | Path | Experiment | None", root: Path) -> "Path | Experiment":
    """A result folder, or an experiment: without one that of the baseline's own systems."""
    from bench.config import Experiment, read_experiment

    if given is None:
        return Experiment(suites=[])
    if isinstance(given, Experiment):
        return given
    return read_experiment(root / given) if Path(given).suffix == ".toml" else root / given


def _rules(file: Path | None, own: Mapping[str, Any], table: Mapping[str, Any]) -> "Rules":
    """The rules of *file*, else the experiment's *own* with *table* over them."""
    from bench.gate.rules import parse_rules, read_rules
    from qrels.errors import UsageError

    if file is None:
        return parse_rules({**own, **table}, "bench_gate")
    if table:
        raise UsageError(f"bench_gate: rules and also {', '.join(table)}; give one of both")
    return read_rules(file)
