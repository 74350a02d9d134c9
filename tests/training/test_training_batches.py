"""Batches: every row once, the same for the same seed, within limits."""

import pytest

from qrels.errors import UsageError
from training.batching import epoch_batches
from training.config import Options
from training.optimiser import rate

LENGTHS = [3 + (i * 7) % 20 for i in range(100)]


@pytest.mark.parametrize("tokens", [0, 60, 200])
def test_every_row_is_there_once(tokens):
    """Whatever the limits, and in another order in another epoch."""
    first = epoch_batches(LENGTHS, 8, tokens, 1, 0)
    assert sorted(row for batch in first for row in batch) == list(range(100))
    assert first == epoch_batches(LENGTHS, 8, tokens, 1, 0)
    assert first != epoch_batches(LENGTHS, 8, tokens, 1, 1)
    assert first != epoch_batches(LENGTHS, 8, tokens, 2, 0)
    assert max(map(len, first)) <= 8


def test_no_batch_has_more_tokens_than_allowed_and_little_is_padding():
    """Rows times the longest, and rows of like length come together."""
    batches = epoch_batches(LENGTHS, 50, 60, 1, 0)
    sizes = [max(LENGTHS[row] for row in batch) * len(batch) for batch in batches]
    assert max(sizes) <= 60
    assert sum(sizes) < 1.3 * sum(LENGTHS)


def test_rows_that_clash_are_never_together():
    """Those put off come later; none is lost."""
    batches = epoch_batches([1] * 60, 8, 0, 3, 0, lambda r, b: any(r // 6 == o // 6 for o in b))
    assert sorted(row for batch in batches for row in batch) == list(range(60))
    for batch in batches:
        assert len({row // 6 for row in batch}) == len(batch)


def test_a_row_longer_than_a_batch_is_refused():
    """The message has both numbers."""
    with pytest.raises(UsageError, match="batch_tokens = 20; the longest row has 22 tokens"):
        epoch_batches(LENGTHS, 8, 20, 1, 0)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("linear", [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]),
        ("cosine", [0.5, 1.0, 1.0, 0.853553, 0.5, 0.146447, 0.0]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_the_rate_rises_and_falls(schedule, rates):
    """Two steps of warm-up, then the fall over the four that are left."""
    options = Options(learning_rate=1.0, warmup_steps=2, schedule=schedule)
    assert [rate(step, 6, options) for step in range(7)] == pytest.approx(rates, abs=1e-6)
