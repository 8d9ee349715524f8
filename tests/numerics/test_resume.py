"""A run stopped after any step and resumed ends with the bits of one that was not."""

import json
from typing import Any

import pytest

from gradline.errors import ShuttingDown
from gradline.worker.context import Loaded
from gradline.worker.kinds.checkpoint_format import pack, unpack
from tests.numerics.attempts import MemoryAttempt, train

DATA = {"source": "blobs", "samples_per_class": 30, "mean": 0.7}
JOBS: dict[str, dict[str, Any]] = {
    "sgd": {"solver": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True}},
    "sgd batches": {"solver": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.5, "batch_size": 16}},
    "adam": {"solver": {"name": "adam", "learning_rate": 0.05}, "penalty": {"l1": 0.01}},
    "adam batches": {"solver": {"name": "adam", "learning_rate": 0.05, "batch_size": 16}},
    "lbfgs": {"solver": {"name": "lbfgs", "memory": 3}, "stop": {"max_steps": 60, "tolerance": 1e-14}},
    "fista": {"solver": {"name": "fista"}, "penalty": {"l1": 0.01}, "stop": {"max_steps": 60, "tolerance": 0.0}},
    "newton": {"solver": {"name": "newton"}, "stop": {"max_steps": 12, "tolerance": 1e-30}},
    "newton of many rows": {
        "data": DATA | {"samples_per_class": 20_000},
        "solver": {"name": "newton"},
        "stop": {"max_steps": 6, "tolerance": 1e-30},
        "report": {"every": 1},
    },
    "newton-cg": {"solver": {"name": "newton-cg"}, "penalty": {"l2": 0.01}, "stop": {"tolerance": 1e-13}},
    "proximal-newton": {"solver": {"name": "proximal-newton"}, "penalty": {"l1": 0.01}, "stop": {"tolerance": 1e-12}},
    "bounds": {"model": {"bounds": {"x1": {"at_most": -1.0}}}, "stop": {"tolerance": 1e-12}},
    "adamw schedule": {
        "solver": {"name": "adamw", "learning_rate": 0.05, "schedule": {"name": "cosine", "final": 0.1}},
    },
    "patience": {
        "solver": {"name": "sgd", "learning_rate": 5.0},
        "split": {"validation_fraction": 0.3},
        "stop": {"max_steps": 60, "patience": 4},
        "report": {"every": 2},
    },
    "patience that keeps the last": {
        "solver": {"name": "sgd", "learning_rate": 5.0},
        "split": {"validation_fraction": 0.3},
        "stop": {"max_steps": 60, "patience": 4, "restore_best": False},
        "report": {"every": 2},
    },
    "patience of newton": {
        "solver": {"name": "newton"},
        "split": {"validation_fraction": 0.3},
        "stop": {"max_steps": 60, "patience": 2, "tolerance": 1e-30},
        "report": {"every": 1},
    },
    "patience that lasts": {
        "solver": {"name": "adam", "learning_rate": 0.3, "batch_size": 8},
        "split": {"validation_fraction": 0.3},
        "stop": {"max_steps": 30, "patience": 20, "metric": "accuracy"},
        "report": {"every": 3},
    },
}
RESTORED = ("patience", "patience of newton", "patience that lasts")
STOPPED_EARLY = ("patience", "patience of newton", "patience that keeps the last")


def job_of(name: str) -> dict[str, Any]:
    return {"data": DATA, "stop": {"max_steps": 60}, "report": {"every": 7}, "seed": 4} | JOBS[name]


def stopped_after(n_steps: int, job: dict[str, Any], loaded: Loaded | None = None) -> MemoryAttempt:
    attempt = MemoryAttempt(loaded=loaded, stop_at=n_steps, reason=ShuttingDown("stop"))
    with pytest.raises(ShuttingDown):
        train(attempt, **job)
    return attempt


@pytest.mark.parametrize("name", JOBS)
def test_stopping_after_any_step_changes_no_bit(name: str):
    job = job_of(name)
    whole, unbroken = train(**job)
    assert (whole["outcome"] == "early_stopped") == (name in STOPPED_EARLY)
    assert (whole["best_step"] is not None) == (name in RESTORED)
    assert name not in RESTORED or 0 < whole["best_step"] < whole["steps"] - 1, "steps to be stopped at, on both sides"
    for n_steps in range(1, whole["steps"] + 2):
        stopped = stopped_after(n_steps, job)
        result, resumed = train(MemoryAttempt(loaded=stopped.checkpoints[-1]), **job)
        assert result == whole, f"stopped after {n_steps} steps"
        assert resumed.files == unbroken.files, f"stopped after {n_steps} steps"
        assert stopped.points | resumed.points == unbroken.points
        assert stopped.points.keys() & resumed.points.keys() == set(), "no step is taken twice"


def test_stopping_again_and_again_changes_no_bit():
    job = job_of("lbfgs")
    whole, _ = train(**job)
    loaded = None
    for _ in range(5):
        loaded = stopped_after(2, job, loaded).checkpoints[-1]
    assert loaded is not None
    assert loaded.step == 10
    result, _ = train(MemoryAttempt(loaded=loaded), **job)
    assert result == whole


def test_resuming_in_another_environment_is_told():
    job = job_of("sgd")
    tensors, numbers = unpack(stopped_after(30, job).checkpoints[-1].data)
    numbers["environment"]["cpu_capability"] = "ABACUS"
    loaded = Loaded(30, pack(tensors, numbers), {})
    result, attempt = train(MemoryAttempt(loaded=loaded), **job)
    assert result["reproducible"] is False
    assert "ABACUS" in attempt.warnings["environment_changed"]
    again = stopped_after(1, job, loaded)
    twice, second = train(MemoryAttempt(loaded=again.checkpoints[-1]), **job)
    assert twice["reproducible"] is False, "a change is not forgotten by the checkpoints that follow it"
    assert "environment_changed" not in second.warnings


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", b"\xff" * 64])
def test_a_checkpoint_that_cannot_be_read_starts_the_fit_anew(damage: bytes):
    job = job_of("sgd")
    whole, _ = train(**job)
    result, attempt = train(MemoryAttempt(loaded=Loaded(30, damage, {})), **job)
    assert [warning["code"] for warning in result["warnings"]] == ["checkpoint_unknown"]
    assert result | {"warnings": []} == whole
    assert "step 30" in attempt.warnings["checkpoint_unknown"]


def test_a_checkpoint_is_saved_at_every_report_where_the_spec_says_so():
    _, attempt = train(**job_of("sgd"), checkpoint={"every_s": 0})
    assert [saved.step for saved in attempt.checkpoints] == [1, 8, 15, 22, 29, 36, 43, 50, 57]
    assert all(saved.fingerprint["n_threads"] == 1 for saved in attempt.checkpoints)


def test_results_are_plain_json_and_files_name_no_pickle():
    result, attempt = train(**job_of("sgd"))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert set(attempt.files) == {"model.json", "metrics.parquet", "plot_data.json"}
