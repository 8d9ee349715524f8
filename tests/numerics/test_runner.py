"""What the runner of the kind tells, saves and warns of, besides the numbers."""

import json
import math
from itertools import pairwise
from typing import Any

import pytest
import torch

from gradline.data.targets import family_of
from gradline.errors import CancelRequested, PermanentError
from gradline.specs.logistic_regression import Model
from gradline.training import Outcome
from gradline.worker.kinds import regression_result
from gradline.worker.kinds.logistic_regression import drawings
from tests.numerics.attempts import MemoryAttempt, regression_spec, train

NOTES: dict[str, Any] = {
    "solver": {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9},
    "stop": {"max_steps": 1000, "accuracy_above": 0.99},
    "seed": 10,
}


def test_a_long_curve_is_thinned_in_the_database_and_whole_in_the_file():
    result, attempt = train(**NOTES | {"stop": {"max_steps": 1501}, "report": {"every": 1}})
    steps = sorted(attempt.points)
    assert len(steps) <= 301
    assert (steps[0], steps[-1]) == (0, 1500)
    assert len({b - a for a, b in pairwise(steps)}) <= 2, "evenly, but for the last"
    data = json.loads(attempt.files["plot_data.json"])
    assert data["history"]["step"] == list(range(1501))
    assert len(data["frames"]) == 60
    assert [data["frames"][0]["step"], data["frames"][-1]["step"]] == [0, result["steps"]]


def test_the_plots_named_are_those_that_the_plot_data_holds_frames_for():
    result, attempt = train(**NOTES)
    names = drawings(regression_spec(**NOTES), result)
    frames = json.loads(attempt.files["plot_data.json"])["frames"]
    assert names[: len(frames)] == [f"boundary/step-{frame['step']:06d}.png" for frame in frames]
    curves = ["roc", "precision_recall", "calibration", "thresholds", "gains", "coefficients"]
    shown = ["loss", "accuracy", "confusion_matrix", *curves]
    plots, exports = ["animation.gif", *(f"{name}.png" for name in shown)], ["model.sql", "model.onnx"]
    assert names[len(frames) :] == [*plots, "curves.json", *exports, "exports.json"]
    assert frames[-1]["weights"] == pytest.approx([c["estimate"] for c in result["coefficients"]])
    assert frames[-1]["loss"] == result["last_report"]["loss"]


def test_the_gradient_is_watched_where_its_plot_is_asked_for():
    result, attempt = train(**NOTES | {"report": {"every": 20, "plots": ["gradient_norm"]}})
    history = json.loads(attempt.files["plot_data.json"])["history"]
    assert history["gradient_norm"][0] > 10 * history["gradient_norm"][-1] > 0
    assert attempt.points[0]["gradient_norm"] == history["gradient_norm"][0]
    assert history["gradient_norm"][-1] == pytest.approx(result["certificate"]["gradient_max_norm"], rel=1e-5)
    names = drawings(regression_spec(**NOTES | {"report": {"plots": ["gradient_norm"]}}), result)
    assert names[0] == "gradient_norm.png"


def test_without_plots_nothing_is_saved_for_them():
    result, attempt = train(**NOTES | {"report": {"plots": []}})
    assert "plot_data.json" not in attempt.files
    assert drawings(regression_spec(**NOTES, report={"plots": []}), result) == []


def test_a_frame_of_newton_shows_the_weights_and_the_gradient_that_its_loss_is_of():
    result, attempt = train(data={"source": "blobs"}, penalty={"l2": 0.1}, report={"plots": ["gradient_norm"]})
    data = json.loads(attempt.files["plot_data.json"])
    first, last = data["frames"][0], data["frames"][-1]
    assert (first["weights"], first["bias"], first["loss"]) == ([0.0, 0.0], 0.0, pytest.approx(math.log(2)))
    assert last["weights"] == pytest.approx([c["estimate"] for c in result["coefficients"]], rel=1e-6)
    norms = data["history"]["gradient_norm"]
    x_n3 = torch.tensor([[*x, 1.0] for x in data["points"]["x"]], dtype=torch.float64)
    gradient_3 = (x_n3 * (0.5 - torch.tensor(data["points"]["y"]).unsqueeze(1))).mean(0)
    assert norms[0] == pytest.approx(gradient_3.abs().max().item())
    assert norms[-1] < 1e-6 * norms[-3]


def test_standardised_frames_and_weights_are_on_the_columns_own_scale():
    spec = NOTES | {"preprocess": {"standardize": True}}
    result, attempt = train(**spec)
    frame = json.loads(attempt.files["plot_data.json"])["frames"][-1]
    told = attempt.weights[result["steps"]]
    assert frame["weights"] == told["weights"] == pytest.approx([c["estimate"] for c in result["coefficients"]])
    assert frame["bias"] == told["bias"] == pytest.approx(result["intercepts"][0]["estimate"])


def test_many_points_are_drawn_as_a_sample_with_every_class():
    spec = {"data": {"source": "blobs", "samples_per_class": 3000}, "stop": {"max_steps": 2}}
    _, attempt = train(**spec)
    points = json.loads(attempt.files["plot_data.json"])["points"]
    assert len(points["x"]) == len(points["y"]) == 2000
    assert sum(points["y"]) == 1000


def test_ticks_tell_step_rate_and_the_time_left():
    _, attempt = train(**NOTES)
    first, last = attempt.ticks[0], attempt.ticks[-1]
    assert (first["step"], last["step"], first["total_steps"]) == (0, 380, 1000)
    assert first["rate"] > 0
    assert first["eta_s"] > 0
    assert last["loss"] == pytest.approx(0.049277, abs=1e-6)
    assert len(last["weights"]) == 2
    json.dumps(attempt.ticks, allow_nan=False)
    assert attempt.last_progress[:2] == (381, 381)


def test_a_cancelled_fit_stops_at_once_and_saves_nothing():
    attempt = MemoryAttempt(stop_at=17, reason=CancelRequested("the owner asked"))
    with pytest.raises(CancelRequested):
        train(attempt, **NOTES)
    assert attempt.ticks[-1]["step"] == 16
    assert attempt.checkpoints == []


def test_separable_classes_without_a_penalty_are_told():
    spec: dict[str, Any] = {"data": {"source": "blobs", "mean": 6.0}, "stop": {"max_steps": 200}}
    result, attempt = train(**spec)
    assert result["certificate"]["separable"] is True
    assert result["certificate"]["minimum_exists"] is False
    assert "penalty.l2" in attempt.warnings["separable"]
    result, attempt = train(**spec, penalty={"l2": 0.01})
    assert result["certificate"]["minimum_exists"] is True
    assert "separable" not in attempt.warnings


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_separation_of_several_classes_is_found(name: str):
    result, _ = train(
        data={"source": "builtin", "name": name}, penalty={"l2": 1e-6}, stop={"max_steps": 300, "tolerance": 1e-6}
    )
    right = result["metrics"]["train"]["accuracy"] == 1.0
    assert result["certificate"]["separable"] is right


def test_a_diverged_fit_says_what_to_change_and_stays_json():
    result, attempt = train(
        solver={"name": "sgd", "learning_rate": 50.0},
        penalty={"l2": 1.0},
        stop={"max_steps": 5000},
        report={"every": 1000},
    )
    assert result["outcome"] == "diverged"
    assert "solver.learning_rate" in result["advice"]
    assert "diverged" in attempt.warnings
    assert result["metrics"]["train"]["log_loss"] is None
    assert result["coefficients"][0]["estimate"] is None
    json.dumps(result, allow_nan=False)
    json.loads(attempt.files["plot_data.json"], parse_constant=pytest.fail)


def test_a_loss_that_rose_is_told():
    spec: dict[str, Any] = {"data": {"source": "blobs", "mean": 0.1}, "stop": {"max_steps": 50}}
    _, attempt = train(**spec, solver={"name": "sgd", "learning_rate": 500.0})
    assert "solver.learning_rate" in attempt.warnings["loss_rose"]


def test_advice_is_given_for_every_outcome_that_needs_one():
    need_none = {Outcome.CONVERGED, Outcome.TARGET_REACHED, Outcome.EARLY_STOPPED}
    assert set(regression_result.ADVICE) == set(Outcome) - need_none


def test_a_gpu_that_is_not_there_fails_the_job_by_name():
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(PermanentError, match=r"spec\.device is cuda") as failed:
        train(**NOTES, device="cuda")
    assert failed.value.code == "no_cuda_device"


def test_a_binomial_family_refuses_three_classes():
    with pytest.raises(PermanentError, match="3 classes"):
        family_of(Model(family="binomial"), ["a", "b", "c"])


@pytest.mark.parametrize("family", ["binomial", "multinomial"])
def test_without_an_intercept_there_is_none(family: str):
    result, attempt = train(
        data={"source": "builtin", "name": "breast_cancer"},
        model={"family": family, "fit_intercept": False},
        penalty={"l2": 0.1},
    )
    assert result["intercepts"] == []
    assert result["outcome"] == "converged"
    assert set(json.loads(attempt.files["model.json"])["intercepts"]) == {0.0}


def test_many_weights_are_not_told_with_every_report():
    _, attempt = train(data={"source": "builtin", "name": "breast_cancer"}, penalty={"l2": 0.1})
    assert attempt.weights[0] == {}


def test_weights_of_the_model_file_are_those_of_the_result():
    result, attempt = train(**NOTES)
    model = json.loads(attempt.files["model.json"])
    assert [f["coefficients"] for f in model["features"]] == [[c["estimate"]] for c in result["coefficients"]]
    assert model["intercepts"] == [result["intercepts"][0]["estimate"]]
    assert model["classes"] == [0, 1]


@pytest.mark.parametrize("split", [0.0, 0.3])
@pytest.mark.parametrize("metric", ["precision", "recall"])
def test_a_target_that_no_threshold_reaches_is_warned_of(metric: str, split: float):
    data, part = {"source": "blobs", "mean": 0.1, "seed": 8}, "validation" if split else "train"
    asked = {"data": data, "split": {"validation_fraction": split}, "solver": {"name": "auto"}}
    easy, attempt = train(**asked, evaluation={"threshold": {"metric": metric, "at_least": 0.3}})
    assert easy["decision"]["reached"] == easy["metrics"][part][metric] >= 0.3
    assert "threshold_missed" not in attempt.warnings
    hard, attempt = train(**asked, evaluation={"threshold": {"metric": "precision", "at_least": 0.999}})
    assert hard["decision"]["reached"] == hard["metrics"][part]["precision"] < 0.999
    rows = "validation" if split else "training"
    assert f"no threshold reaches a precision of 0.999 on the {rows} rows" in attempt.warnings["threshold_missed"]
