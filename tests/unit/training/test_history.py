"""Which points of a curve are kept, and where."""

import math

import pytest

from gradline.worker.kinds.history import MAX_FRAMES, MAX_POINTS, History, frame_rows, point_stride, report_steps


@pytest.mark.parametrize(("max_steps", "every"), [(1, 1), (1000, 20), (1000, 1), (5999, 7), (10_000_000, 20)])
def test_no_job_makes_more_durable_points_than_are_drawn(max_steps: int, every: int):
    stride = point_stride(max_steps, every)
    n_reports = math.ceil(max_steps / every)
    n_points = len(range(0, n_reports, stride)) + 1
    assert n_points <= MAX_POINTS + 1
    assert stride == 1 or n_points > MAX_POINTS / 2


@pytest.mark.parametrize("n_reports", [1, 2, 60, 61, 100, 5000])
def test_frames_are_few_and_hold_the_first_and_the_last(n_reports: int):
    rows = frame_rows(n_reports)
    assert len(rows) == min(n_reports, MAX_FRAMES)
    assert rows == sorted(set(rows))
    assert (rows[0], rows[-1]) == (0, n_reports - 1)


@pytest.mark.parametrize(("last", "every", "steps"), [(380, 20, 20), (0, 20, 1), (381, 20, 21), (7, 1, 8)])
def test_report_steps_can_be_told_from_the_last_step(last: int, every: int, steps: int):
    found = report_steps(last, every)
    assert (found[0], found[-1], len(found)) == (0, last, steps)


def test_a_history_is_the_same_after_it_was_written_down():
    history = History(["loss", "accuracy"], 3)
    history.add(0, {"loss": 0.1, "accuracy": 1 / 3}, [1.0, 2.0, 3.0])
    history.add(20, {"loss": math.nan, "accuracy": 0.5}, [4.0, 5.0, 6.0])
    again = History(["loss", "accuracy"], 3)
    again.load(history.state())
    assert again.steps == history.steps
    assert again.columns["accuracy"] == history.columns["accuracy"]
    assert again.weights_at(1) == [4.0, 5.0, 6.0]
    assert math.isnan(again.last()["loss"])
