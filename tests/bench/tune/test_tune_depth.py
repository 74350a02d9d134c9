"""Depth curves: which depths they have, and what their gains are against."""

import pytest

from bench.config import parse_system
from bench.tune.depth import depth_curve
from qrels.suites import load_suite

SYSTEM = 'bm25+mmr?reranker.encoder="hashing"'


def test_gains_are_over_the_first_stage():
    """Each gain is the depth's mean less that of depth 0."""
    curve = depth_curve(load_suite("datasets", "dev"), parse_system(SYSTEM), "nDCG@10", (20, 5))
    assert curve.depths == (0, 5, 20)
    for mean, gain in zip(curve.means, curve.gains, strict=True):
        assert gain[0] == pytest.approx(mean - curve.means[0], abs=1e-12)
        assert gain[1] <= gain[0] <= gain[2]
    assert any(gain[0] != 0 for gain in curve.gains)


def test_depths_are_cut_to_that_of_the_suite():
    """A depth beyond the suite's is its own: there is nothing further down to rerank."""
    curve = depth_curve(load_suite("datasets", "dev"), parse_system(SYSTEM), "nDCG@10", (200, 300))
    assert curve.depths == (0, 100)
