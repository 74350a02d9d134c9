"""`bench tune`: weights, rerank depths and parameters, from work that is done once."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.common import FINE, check_device, positive, say, whole
from qrels.errors import UsageError

if TYPE_CHECKING:
    from qrels.data import Suite

HELP = "search weights, a rerank depth, or parameters on dev"


def arguments(command: argparse.ArgumentParser) -> None:
    kinds = command.add_subparsers(dest="kind", metavar="WHAT", required=True)
    weights = kinds.add_parser("weights", help="of the fields of fielded, or of fused retrievers")
    depth = kinds.add_parser("depth", help="a measure by rerank depth, from one scoring pass")
    params = kinds.add_parser("parameters", help="the grid of an experiment file, by Optuna")
    for one, system in ((weights, "fielded"), (depth, "dense+late-interaction")):
        one.add_argument("--suite", required=True, metavar="NAME|FOLDER")
        one.add_argument("--system", default=system, metavar="NAME", help=f"by default {system}")
    params.add_argument("experiment", type=Path, metavar="FILE.toml")
    params.add_argument("--study", type=Path, metavar="FILE.db", help="SQLite, to go on from later")
    params.add_argument("--no-latency", action="store_true", help="quality alone")
    weights.add_argument("--trials", type=positive, default=10_000, help="weightings (10000)")
    params.add_argument("--trials", type=positive, default=50, help="in all (50)")
    depth.add_argument("--depths", type=positive, nargs="+", help="5 10 20 50 100 and none")
    for one in (weights, depth, params):
        one.add_argument("--measure", metavar="nDCG@10", help="instead of the suite's first")
        one.add_argument("--split", help="to search on; dev where there is one")
        one.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
        one.add_argument("--seed", type=whole, default=13)
        one.add_argument("--out", type=Path, metavar="FILE.md", help="write the page as well")


def main(options: argparse.Namespace) -> int:
    """`bench tune`."""
    from encoders.base import device_scope
    from reports.files import write

    check_device(options.device)
    with device_scope(options.device):
        page = {"weights": weights, "depth": depth, "parameters": parameters}[options.kind](options)
    print(page, end="")
    if options.out:
        write(options.out, page.encode("utf-8", "backslashreplace"))
    return FINE


def weights(options: argparse.Namespace) -> str:
    """`bench tune weights`."""
    from bench.about import system_info
    from bench.choose.written import toml_of
    from bench.config import parse_system
    from bench.tune.weights import search_weights
    from reports.tuning import weights_page

    dev, test = both(options.suite, options.split)
    found = search_weights(
        dev, test, parse_system(options.system), options.trials,
        measure_of(dev, options.measure), options.seed, say,
    )  # fmt: skip
    return weights_page(found.page, toml_of(options.suite, system_info(found.system)))


def depth(options: argparse.Namespace) -> str:
    """`bench tune depth`."""
    from bench.config import parse_system
    from bench.tune.depth import DEPTHS, depth_curve
    from reports.tuning import depth_page

    dev, _ = both(options.suite, options.split)
    system = parse_system(options.system)
    measure = measure_of(dev, options.measure)
    return depth_page(
        depth_curve(dev, system, measure, options.depths or DEPTHS, options.seed, say)
    )


def parameters(options: argparse.Namespace) -> str:
    """`bench tune parameters`."""
    from bench.about import system_info
    from bench.choose.written import toml_of
    from bench.config import read_experiment
    from bench.latency import Protocol
    from bench.tune.parameters import search_parameters
    from reports.tuning import parameters_page

    experiment = read_experiment(options.experiment)
    if not experiment.systems or len(experiment.suites) != 1:
        raise UsageError(f"{options.experiment}: expected one suite, and systems with a grid")
    dev, test = (
        suite and replace(suite, depth=experiment.depth or suite.depth)
        for suite in both(str(experiment.suites[0]), options.split or experiment.split)
    )
    assert dev is not None
    measure = options.measure or next(iter(experiment.measures or ()), None)
    protocol = None if options.no_latency else Protocol(device=options.device)
    system, found = search_parameters(
        dev, test, experiment.systems, options.trials, measure_of(dev, measure),
        options.study, options.seed, protocol, say,
    )  # fmt: skip
    return parameters_page(found, toml_of(str(experiment.suites[0]), system_info(system)))


def both(name: str, split: str | None) -> "tuple[Suite, Suite | None]":
    """The suite to search on and, where it has dev and test, the one to confirm on."""
    from qrels.suites import SETS, load_suite, shipped, splits

    folder = SETS / name if name in shipped() else Path(name)
    known = splits(folder) if folder.is_dir() else {}
    chosen = split or ("dev" if "dev" in known else None)
    dev = load_suite(name, chosen)
    return dev, load_suite(name, "test") if "test" in known and dev.split != "test" else None


def measure_of(suite: "Suite", name: str | None) -> str:
    from bench.metrics import parse_measure

    return str(parse_measure(name or suite.measures[0], suite.rules.relevance_level))
