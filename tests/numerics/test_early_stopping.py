"""What a fit says that was stopped early and gives the parameters of its best report: all of it is of these."""

import json
from typing import Any

import pytest
import torch

from gradline.training import Family, Fit, Newton, Objective, StopRules
from gradline.worker.kinds.regression_certificate import gap_at_end, newton_at_end
from tests.numerics.attempts import MemoryAttempt, train
from tests.numerics.problems import random_problem

JOBS: dict[str, dict[str, Any]] = {
    "sgd": {"solver": {"name": "sgd", "learning_rate": 5.0}, "report": {"every": 2}},
    "adam batches": {
        "solver": {"name": "adam", "learning_rate": 0.3, "batch_size": 8},
        "penalty": {"l1": 0.001},
        "report": {"every": 3},
    },
    "newton": {"solver": {"name": "newton"}},
    "newton-cg": {"solver": {"name": "newton-cg"}, "penalty": {"l2": 0.001}},
    "lbfgs": {"solver": {"name": "lbfgs"}, "penalty": {"l2": 0.0001}},
    "proximal-newton": {"solver": {"name": "proximal-newton"}, "penalty": {"l1": 0.001}},
}
OF_PARAMETERS = [
    "metrics",
    "decision",
    "objective",
    "coefficients",
    "intercepts",
    "fingerprint",
    "has_model",
    "inference",
]
OF_THE_FIT = {"passes", "tolerance"}
"""What a certificate tells besides."""


def job_of(name: str, **stop: Any) -> dict[str, Any]:
    data = {"source": "blobs", "samples_per_class": 30, "mean": 0.7}
    shared = {"data": data, "split": {"validation_fraction": 0.3}, "report": {"every": 1}, "seed": 4}
    return shared | JOBS[name] | {"stop": {"max_steps": 80, "tolerance": 1e-30} | stop}


def drawn(attempt: MemoryAttempt) -> dict[str, Any]:
    """What plots of the parameters are drawn from."""
    data = json.loads(attempt.files["plot_data.json"])
    return {name: data[name] for name in ("scores", "confusion_matrix", "coefficients", "threshold")}


@pytest.mark.parametrize("name", JOBS)
def test_a_fit_that_stopped_early_says_what_one_says_that_was_told_to_stop_at_its_best_report(name: str):
    result, attempt = train(**job_of(name, patience=2))
    best = result["best_step"]
    assert result["outcome"] == "early_stopped"
    assert 0 < best < result["steps"] == result["last_report"]["step"]
    losses = {step: point["validation_loss"] for step, point in attempt.points.items()}
    assert best == min(losses, key=lambda step: losses[step])
    assert result["metrics"]["validation"]["log_loss"] == pytest.approx(losses[best], rel=1e-5)
    told, other = train(**job_of(name, max_steps=best))
    assert (told["outcome"], told["steps"], told["best_step"]) == ("step_limit", best - 1, None)
    assert {key: result[key] for key in OF_PARAMETERS} == {key: told[key] for key in OF_PARAMETERS}
    assert drawn(attempt) == drawn(other)
    best_frame = json.loads(attempt.files["plot_data.json"])["best"]
    assert best_frame["step"] == best
    assert best_frame["weights"] == [entry["estimate"] for entry in result["coefficients"]]
    assert best_frame["loss"] == attempt.points[best]["loss"]
    assert json.loads(other.files["plot_data.json"])["best"] is None
    assert attempt.files["model.json"] == other.files["model.json"]
    for key in told["certificate"].keys() - OF_THE_FIT:
        assert result["certificate"][key] == told["certificate"][key], key


@pytest.mark.parametrize("name", JOBS)
def test_what_was_reported_is_the_same_whichever_parameters_are_kept(name: str):
    best, attempt = train(**job_of(name, patience=2))
    last, other = train(**job_of(name, patience=2, restore_best=False))
    assert (attempt.points, attempt.weights) == (other.points, other.weights)
    of_steps = ["outcome", "steps", "last_report"]
    assert {key: best[key] for key in of_steps} == {key: last[key] for key in of_steps}
    assert last["best_step"] is None
    told, _ = train(**job_of(name, max_steps=last["steps"] + 1))
    assert {key: last[key] for key in OF_PARAMETERS} == {key: told[key] for key in OF_PARAMETERS}
    assert last["certificate"] == told["certificate"]


@pytest.mark.parametrize("restore_best", [True, False])
def test_a_solver_that_stands_at_other_parameters_is_asked_for_nothing(restore_best: bool):
    objective, validation = Objective(random_problem(Family.BINOMIAL, 0)), Objective(random_problem(Family.BINOMIAL, 1))
    theta_bkp = torch.zeros(1, 1, objective.problem.p, dtype=torch.float64)
    stop = StopRules(3, patience=3, restore_best=restore_best)
    fit = Fit(objective, Newton(objective, theta_bkp), stop, report_every=1, validation=validation)
    for _step in fit:
        pass
    assert fit.is_restored == restore_best
    assert (gap_at_end(fit) is None) == (newton_at_end(fit) is None) == restore_best


def test_parameters_that_were_fitted_anew_are_of_no_step():
    job = job_of("newton", max_steps=3, patience=5) | {
        "data": {"source": "blobs", "mean": 6.0, "samples_per_class": 30}
    }
    assert train(**job)[0]["best_step"] is not None
    mended, _ = train(**job, on_separation="ridge")
    assert mended["certificate"]["penalty"]["l2"] > 0
    assert mended["best_step"] is None
