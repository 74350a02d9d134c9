"""The log, its plot, and the model card."""

import json

import pytest

from training.log import Log, duration, plot, progress_line, read_log


def test_a_log_goes_on_after_a_step(tmp_path):
    """Lines of later steps, and one that was cut off, are left out; the rest stays as it was."""
    with Log(tmp_path) as log:
        for step in range(5):
            log.add({"step": step, "loss": step / 3})
    path = tmp_path / "log.jsonl"
    path.write_text(path.read_text() + '{"step": 5, "lo')
    with Log(tmp_path, 2) as log:
        log.add({"step": 3, "loss": 9.0})
    assert [row["loss"] for row in read_log(path)] == [0.0, 1 / 3, 2 / 3, 9.0]
    with Log(tmp_path):
        assert read_log(path) == []


def test_every_line_is_there_at_once(tmp_path):
    """What was logged can be read before the log is closed."""
    with Log(tmp_path) as log:
        log.add({"step": 1, "loss": 0.5})
        assert json.loads((tmp_path / "log.jsonl").read_text()) == {"step": 1, "loss": 0.5}


def test_the_plot_is_a_picture_with_and_without_measures(tmp_path):
    """Loss alone, loss and measure, or nothing at all."""
    sizes = []
    for rows in ([], [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}], [{"value": 0.5}]):
        with Log(tmp_path) as log:
            for row in rows:
                log.add({"step": 2, **row})
        plot(tmp_path, "nDCG@10")
        data = (tmp_path / "loss.png").read_bytes()
        assert data.startswith(b"\x89PNG")
        sizes.append(data)
    assert len(set(sizes)) == 3


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (125, "2:05"), (3723, "1:02:03")]
)
def test_durations_are_read_at_a_glance(seconds, shown):
    """Minutes and seconds, hours where there are some."""
    assert duration(seconds) == shown


def test_a_line_of_progress_has_all_that_one_waits_for():
    """Loss, parts, speed, time left and memory."""
    row = {
        "step": 10, "epoch": 0, "loss": 1.5, "parts": {"accuracy": 0.25}, "rate": 2e-5,
        "tokens_per_second": 12345.6, "memory_bytes": 812e6,
    }  # fmt: skip
    assert progress_line(row, 20, 61) == (
        "step 10/20  epoch 1  loss 1.5000  accuracy 0.2500  rate 2.00e-05  12,346 tokens/s  "
        "1:01 left  812 MB"
    )
