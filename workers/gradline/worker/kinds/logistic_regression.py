"""Runs a `logistic-regression` job: loops over the fit, reports, saves, and says what came out."""

import json
import time
from typing import Any

import torch
from torch import Tensor

from gradline.data.prepare import Sources, prepare
from gradline.data.room import Room
from gradline.errors import ShuttingDown
from gradline.export.exporting import file_names
from gradline.specs.base import Spec
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.training import Fitness, Outcome, State, Step
from gradline.worker.context import AttemptContext
from gradline.worker.kinds import regression_artifacts as artifacts
from gradline.worker.kinds import regression_result as results
from gradline.worker.kinds.checkpoint_format import UnknownCheckpoint, pack, unpack
from gradline.worker.kinds.environment import environment_of
from gradline.worker.kinds.history import History, as_json, finite, finite_all, frame_rows, point_stride, report_steps
from gradline.worker.kinds.regression_certificate import (
    Ending,
    certificate_of,
    certify_end,
    gap_at_end,
    newton_at_end,
    separates,
)
from gradline.worker.kinds.regression_device import check_device, place
from gradline.worker.kinds.regression_doctor import can_mend, examine
from gradline.worker.kinds.regression_evaluation import Evaluation, missed_target
from gradline.worker.kinds.regression_fit import dtype_of, make_fit
from gradline.worker.kinds.regression_folds import cross_validate
from gradline.worker.kinds.regression_importance import importance_of
from gradline.worker.kinds.regression_inference import infer
from gradline.worker.kinds.regression_influence import influence_of
from gradline.worker.kinds.regression_path import choose_penalty
from gradline.worker.kinds.regression_scorecard import write_scorecard
from gradline.worker.kinds.regression_tables import tell
from gradline.worker.kinds.regression_uncertainty import uncertainty_of

MAX_SHOWN_WEIGHTS = 20
"""A model with no more coefficients than this tells them with every report."""


def run(spec: Spec, ctx: AttemptContext) -> dict[str, Any]:
    """The result of the job; its files are saved on the way."""
    with torch.inference_mode(), Room(ctx.features_max_bytes, ctx.store) as room:
        attempt = _RegressionAttempt(_regression(spec), ctx, room)
        attempt.resume()
        attempt.train()
        return attempt.finish()


def drawings(spec: Spec, result: dict[str, Any]) -> list[str]:
    """Artifact names of the plots that will be drawn from plot_data.json, and of the exports of model.json."""
    regression = _regression(spec)
    steps = report_steps(result["steps"], regression.report_every)
    plots = artifacts.plot_files(regression.report.plots, result, [steps[row] for row in frame_rows(len(steps))])
    return plots + (file_names(regression.report.chosen_exports) if result["has_model"] else [])


def _regression(spec: Spec) -> LogisticRegressionSpec:
    assert isinstance(spec, LogisticRegressionSpec)  # noqa: S101  the registry pairs kinds and specs
    return spec


def _values(fitness: Fitness) -> dict[str, float]:
    values = {"loss": fitness.loss_b.item()}
    return values if fitness.accuracy_b is None else values | {"accuracy": fitness.accuracy_b.item()}


class _RegressionAttempt:
    """The prepared data, the fit over them, and what it has reported so far."""

    def __init__(self, spec: LogisticRegressionSpec, ctx: AttemptContext, room: Room) -> None:
        self._ctx = ctx
        self._reproducible = True
        check_device(spec.device)
        job_stream = torch.Generator().manual_seed(spec.seed)
        sources = Sources(job_stream, ctx.get_dataset, ctx.store, room)
        prepared = prepare(spec, sources, dtype_of(spec), ctx.warn)
        self._prepared, self._placement = place(spec, prepared, ctx.job.lane)
        self._environment = environment_of(self._placement.device)
        self._spec, self._path, self._path_lines = choose_penalty(spec, self._prepared, ctx.raise_if_stopped)
        self._fit, self._objective, self._validation, self._choice = make_fit(self._spec, self._prepared, job_stream)
        self._history = History(self._report_names(), 3 if artifacts.has_boundary(self._prepared) else 0)
        self._point_stride = point_stride(spec.stop.max_steps, spec.report_every)
        self._shown_weights: dict[str, Any] = {}
        self._started_at, self._first_step = time.monotonic(), 0

    def _report_names(self) -> list[str]:
        names = ["loss", "accuracy"] if self._prepared.train.family.is_classification else ["loss"]
        if self._validation is not None:
            names += [f"validation_{name}" for name in names]
        if self._objective.has_l1 or self._objective.has_l2:
            names.append("objective")
        if "gradient_norm" in self._spec.report.plots:
            names.append("gradient_norm")
        return names

    # --- the loop

    def train(self) -> None:
        ctx, fit, save_every_s = self._ctx, self._fit, self._spec.checkpoint.every_s
        for step in fit:
            if step.report is not None:
                self._report(step)
            if ctx.tick_is_due():
                self._tick(step.number)
            is_save_due = step.report is not None if save_every_s == 0 else ctx.checkpoint_is_due(save_every_s)
            if is_save_due and fit.outcome is None:
                self._save()
            try:
                ctx.raise_if_stopped()
            except ShuttingDown:
                self._save()
                raise

    def _report(self, step: Step) -> None:
        assert step.report is not None  # noqa: S101  the caller looked
        train, validation, theta_bkp = step.report
        if self._spec.is_first_order:  # as in the notes' loop: the loss before the update, the weights after it
            theta_bkp = self._fit.solver.theta_bkp
        values = _values(train)
        if "objective" in self._history.columns:
            values["objective"] = values["loss"] + train.penalty_b.item()
        if validation is not None:
            values |= {f"validation_{name}": value for name, value in _values(validation).items()}
        if "gradient_norm" in self._history.columns:
            values["gradient_norm"] = self._objective.stationarity(theta_bkp).item()
        weights = self._weights_on_own_scale(theta_bkp)
        is_point = len(self._history) % self._point_stride == 0 or self._fit.outcome is not None
        self._history.add(step.number, values, weights)
        if is_point:
            self._ctx.metric(step.number, finite_all(values), **self._shown_weights)
        self._ctx.progress(step.number + 1, self._total_steps(), self._eta_s())

    def _weights_on_own_scale(self, theta_bkp: Tensor) -> list[float]:
        """Coefficients and intercept, where there are few enough to tell."""
        if theta_bkp.shape[1] > 1 or theta_bkp.shape[2] > MAX_SHOWN_WEIGHTS:
            return []
        w_kd, c_k = self._prepared.preprocessing.on_own_scale(theta_bkp[0].cpu())
        weights, (bias,) = w_kd[0].tolist(), c_k.tolist()
        self._shown_weights = {"weights": as_json(weights), "bias": as_json([bias])[0]}
        return [*weights, bias]

    def _tick(self, step: int) -> None:
        values = {"loss": None, "accuracy": None} | finite_all(self._history.last())
        self._ctx.progress(step + 1, self._total_steps(), self._eta_s())
        self._ctx.tick(
            {
                "step": step,
                "total_steps": self._spec.stop.max_steps,
                "rate": self._rate(),
                "eta_s": self._eta_s(),
                **values,
                **self._shown_weights,
            }
        )

    def _total_steps(self) -> int:
        """At most `max_steps`; what was really taken once the fit has ended."""
        return self._spec.stop.max_steps if self._fit.outcome is None else self._fit.n_steps

    def _rate(self) -> float:
        """Steps a second of this attempt."""
        return (self._fit.n_steps - self._first_step) / max(time.monotonic() - self._started_at, 1e-6)

    def _eta_s(self) -> float | None:
        rate = self._rate()
        return (self._total_steps() - self._fit.n_steps) / rate if rate > 0 else None

    # --- checkpoints

    def _save(self) -> None:
        fit = self._fit.state()
        tensors = {f"fit.{name}": tensor for name, tensor in fit.tensors.items()}
        tensors |= {f"history.{name}": tensor for name, tensor in self._history.state().items()}
        numbers = {"fit": fit.numbers, "environment": self._environment, "reproducible": self._reproducible}
        self._ctx.checkpoint(self._fit.n_steps, pack(tensors, numbers), self._environment)

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        loaded = self._ctx.latest_checkpoint()
        if loaded is None:
            return
        try:
            tensors, numbers = unpack(loaded.data)
        except UnknownCheckpoint as error:
            self._ctx.warn("checkpoint_unknown", f"the checkpoint of step {loaded.step} is not used: {error}")
            return
        device = self._fit.theta_bkp.device
        fit = {n.removeprefix("fit."): t.to(device) for n, t in tensors.items() if n.startswith("fit.")}
        self._fit.load(State(fit, numbers["fit"]))
        self._history.load({n.removeprefix("history."): t for n, t in tensors.items() if n.startswith("history.")})
        self._first_step = self._fit.n_steps
        self._compare(numbers["environment"], was_reproducible=numbers["reproducible"])

    def _compare(self, saved: dict[str, Any], *, was_reproducible: bool) -> None:
        """Steps taken in different environments do not have the bits of an unbroken run."""
        changed = [f"{k}: {saved.get(k)} then, {v} now" for k, v in self._environment.items() if saved.get(k) != v]
        self._reproducible = was_reproducible and not changed
        if changed:
            self._ctx.warn("environment_changed", f"resumed where the bits may differ: {'; '.join(changed)}")

    # --- the end

    def finish(self) -> dict[str, Any]:
        outcome = self._fit.outcome
        assert outcome is not None  # noqa: S101  train() returns once there is one
        gap, newton = gap_at_end(self._fit), newton_at_end(self._fit)
        fit = examine(self._spec, self._prepared, self._objective, self._fit.theta_bkp, outcome, newton, self._ctx)
        self._fit.theta_bkp.copy_(fit.theta_bkp)
        self._objective = fit.objective
        evaluation = Evaluation(self._spec, self._prepared, self._fit.theta_bkp)
        estimates = infer(self._spec, self._prepared, fit, self._ctx)
        self._save_model(evaluation, uncertainty_of(self._prepared, fit, estimates))  # beside what is computed next
        result = self._result(Ending(fit.outcome, fit.gap or gap, fit.mend, fit.separation), evaluation)
        tell(result, self._spec, self._prepared, fit, estimates)
        result |= importance_of(result, self._prepared, fit) | influence_of(self._spec, self._prepared, fit)
        self._warn(fit.outcome, result)
        self._save_plot_data(result, evaluation)
        result["warnings"] = [{"code": code, "message": message} for code, message in self._ctx.warnings.items()]
        return result

    def _result(self, ending: Ending, evaluation: Evaluation) -> dict[str, Any]:
        spec, theta_bkp, train = self._spec, self._fit.theta_bkp, self._prepared.train
        names = self._prepared.classes
        found = certify_end(self._objective, theta_bkp, self._fit, ending)
        is_separable = separates(evaluation.train)
        return {
            "outcome": ending.outcome.value,
            "steps": self._fit.n_steps - 1,
            "best_step": self._fit.best_steps[0] if ending.mend is None else None,
            "advice": results.advice_of(
                ending.outcome, ending.separation, can_mend=can_mend(train) and not spec.model.is_bounded
            ),
            "objective": None if found is None else finite(found.objective),
            "metrics": evaluation.metrics(),
            "decision": evaluation.decision(),
            "cross_validation": cross_validate(
                spec, self._prepared, evaluation.threshold, self._ctx.raise_if_stopped, ending.separation
            ),
            "path": self._path,
            "last_report": {"step": self._history.steps[-1]} | finite_all(self._history.last()),
            **results.coefficients_of(self._prepared, theta_bkp),
            "classes": names and {"names": names, "positive": names[1] if train.k == 1 else None},
            "certificate": certificate_of(spec, self._objective, found, self._fit, ending, is_separable=is_separable),
            "has_boundary": artifacts.has_boundary(self._prepared),
            "has_model": evaluation.is_finite,
            "device": self._environment["device"],
            "device_reason": self._placement.reason,
            "dtype": str(train.y_nk.dtype).removeprefix("torch."),
            "family": results.family_of(spec, self._prepared),
            "solver": {"name": self._choice.name, "reason": self._choice.reason},
            "seed": spec.seed,
            "n_rows": train.n,
            "n_without_target": self._prepared.n_without_target,
            "n_features": train.d,
            "environment": self._environment,
            "reproducible": self._reproducible,
            "fingerprint": results.fingerprint_of(theta_bkp, self._environment),
        }

    def _warn(self, outcome: Outcome, result: dict[str, Any]) -> None:
        is_told = result["separation"] is not None or self._spec.model.is_bounded
        if result["certificate"]["minimum_exists"] is False and not is_told:
            self._ctx.warn(
                "separable",
                "the classes can be separated without error, so without a penalty the log loss has no minimum and the "
                "coefficients only say where the fit stopped; set penalty.l2 above 0 for ones that mean something",
            )
        folds = result["cross_validation"]
        if outcome != Outcome.SEPARATED and folds is not None and folds["outcome"] == Outcome.SEPARATED:
            self._ctx.warn(
                "separable_folds",
                "without the rows of a fold the others can be separated, although all together are not, so that its "
                "metrics only say where its fit stopped; set penalty.l2 above 0 for ones that mean something",
            )
        if (missed := missed_target(result["decision"])) is not None:
            self._ctx.warn("threshold_missed", missed)
        if self._path is not None and self._path["best"] == len(self._path["points"]) - 1:
            self._ctx.warn(
                "path_too_short",
                "the held-out loss is lowest at the weakest penalty of the path: a lower penalty.path.smallest may "
                "find a better one",
            )
        first, last = self._history.columns["loss"][0], self._history.columns["loss"][-1]
        if outcome == Outcome.DIVERGED:
            self._ctx.warn("diverged", results.ADVICE[outcome])
        elif last > first:
            self._ctx.warn(
                "loss_rose", f"the loss went from {first:.6g} to {last:.6g}: a lower solver.learning_rate may mend it"
            )

    def _save_model(self, evaluation: Evaluation, uncertainty: dict[str, Any]) -> None:
        save = self._ctx.save_artifact
        if evaluation.is_finite:
            model = write_scorecard(self._prepared, self._fit.theta_bkp, self._spec, uncertainty, evaluation.threshold)
            save("model.json", model, "application/json", "model")
        save("metrics.parquet", artifacts.curve_parquet(self._history), "application/vnd.apache.parquet", "curve")

    def _save_plot_data(self, result: dict[str, Any], evaluation: Evaluation) -> None:
        wanted, save = self._spec.report.plots, self._ctx.save_artifact
        if not wanted:
            return
        path = self._path and self._path | {"n_features": result["n_features"], **self._path_lines}
        data = artifacts.plot_data(evaluation, self._history, result, path)
        save("plot_data.json", data, "application/json", "table")
        if path is not None and "path" in wanted:
            save("path.json", json.dumps(path).encode(), "application/json", "table")
        if result["importance"] is not None and "importance" in wanted:
            save("importance.json", json.dumps(result["importance"]).encode(), "application/json", "table")
