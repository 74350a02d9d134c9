"""The paired randomisation test, beside SciPy's."""

import numpy as np

from bench.stats import randomisation_p
from benchmarks.common import Fact, Mark, Result, by_turns, need, one_thread, timings

TITLE = "Paired randomisation test"
OURS, PEER = "ours", "scipy.stats.permutation_test"
QUERIES = 300
PERMUTATIONS, QUICK = 100_000, 20_000
ROUNDS = 7
NOTES = (
    "The mean difference over 300 queries, two-sided, signs drawn at random; both draw their own, "
    "so that the p-values differ by chance, and are checked to differ by no more than that.",
)


def run(quick: bool) -> Result:
    """Ours against SciPy's at its fastest setting: vectorised, all permutations in one batch."""
    stats = need("scipy.stats")
    permutations = QUICK if quick else PERMUTATIONS
    rng = np.random.default_rng(0)
    differences = rng.normal(0.006, 0.1, QUERIES)

    def ours() -> float:
        return randomisation_p(differences, np.random.default_rng(1), permutations)

    def scipy() -> float:
        found = stats.permutation_test(
            (differences,),
            np.mean,
            permutation_type="samples",
            n_resamples=permutations,
            vectorized=True,
            rng=np.random.default_rng(2),
        )
        return float(found.pvalue)

    mine, theirs = ours(), scipy()
    _check(mine, theirs, permutations)
    work = f"{permutations:,} permutations, {QUERIES} queries"
    with one_thread():
        seconds = by_turns({OURS: ours, PEER: scipy}, ROUNDS)
    facts = (Fact("p, ours", mine, ""), Fact("p, SciPy's", theirs, ""))
    return Result(timings(work, seconds), (Mark(work, OURS, PEER, 50.0),), facts, NOTES)


def _check(mine: float, theirs: float, permutations: int) -> None:
    """SystemExit where two estimates of one probability are five standard errors apart."""
    error = np.sqrt(2 * theirs * (1 - theirs) / permutations)
    if abs(mine - theirs) > 5 * error:
        raise SystemExit(f"p: ours is {mine}, theirs {theirs}, standard error {error}")
