"""The files of a finished fit: the curve, the model, and the data that its plots are drawn from."""

import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import torch
from torch import Tensor

from gradline.data.prepare import Prepared
from gradline.training import Family
from gradline.worker.kinds.history import History, as_json, finite, frame_rows
from gradline.worker.kinds.regression_evaluation import Evaluation

MAX_PLOT_POINTS = 2000
CURVES_OF = {"roc", "precision_recall", "calibration", "thresholds", "gains"}
"""Plots whose numbers curves.json holds."""


def curve_parquet(history: History) -> bytes:
    """Every report, one row each."""
    columns = {name: pa.array(column, pa.float64(), from_pandas=True) for name, column in history.columns.items()}
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"step": pa.array(history.steps, pa.int64()), **columns}), file)
    return file.getvalue()


def plot_files(asked: Sequence[str], result: dict[str, Any], frame_steps: Sequence[int]) -> list[str]:
    """Names of the files that will be drawn, of those asked for that the fit allows."""
    classes = result["classes"]
    n_classes, is_finite = len(classes["names"]) if classes else 0, result["has_model"]
    needs = {
        "boundary": result["has_boundary"],
        "animation": result["has_boundary"],
        "accuracy": n_classes > 0,
        **dict.fromkeys(
            ("confusion_matrix", "roc", "precision_recall", "calibration", "gains"), n_classes > 0 and is_finite
        ),
        "thresholds": n_classes == 2 and is_finite,
        "coefficients": is_finite,
        "importance": result.get("importance") is not None,
        "residuals": n_classes == 0 and is_finite,
        "regions": n_classes > 2 and result["n_features"] == 2 and is_finite,
        "path": result["path"] is not None,
    }
    drawn = [name for name in asked if needs.get(name, True)]
    boundary = [f"boundary/step-{step:06d}.png" for step in frame_steps] if "boundary" in drawn else []
    animation = ["animation.gif"] if "animation" in drawn else []
    files = [f"{name}.png" for name in drawn if name not in ("boundary", "animation")]
    return boundary + animation + files + (["curves.json"] if set(drawn) & CURVES_OF else [])


def plot_data(evaluation: Evaluation, history: History, result: dict[str, Any], path: dict[str, Any] | None) -> bytes:
    """All that the plots need, so that they can be drawn later and without torch."""
    prepared = evaluation.prepared
    data = {
        "feature_names": prepared.preprocessing.feature_names,
        "feature_kinds": prepared.preprocessing.feature_kinds,
        "class_names": [str(c) for c in prepared.classes or []],
        "points": _points(prepared),
        "frames": frames_of(history) if has_boundary(prepared) else [],
        "best": best_frame(history, result),
        "history": {"step": history.steps.tolist()} | {n: as_json(c.tolist()) for n, c in history.columns.items()},
        "confusion_matrix": evaluation.confusion(),
        "threshold": evaluation.threshold,
        "scores": evaluation.scores(),
        "residuals": evaluation.residuals(),
        "coefficients": result["coefficients"],
        "importance": result["importance"],
        "plane": _plane(evaluation),
        "path": path,
        "outcome": result["outcome"],
        "title": prepared.title,
    }
    return json.dumps(data).encode()


def _plane(evaluation: Evaluation) -> dict[str, Any] | None:
    """Linear predictors of several classes over two features."""
    train = evaluation.prepared.train
    if train.d != 2 or train.k < 2 or not evaluation.is_finite:
        return None
    w_kd, c_k = evaluation.prepared.preprocessing.on_own_scale(evaluation.theta_bkp[0].cpu())
    return {"weights": w_kd.tolist(), "intercepts": c_k.tolist()}


def has_boundary(prepared: Prepared) -> bool:
    """Two features and two classes: a plane with a line in it."""
    train = prepared.train
    return train.d == 2 and train.family == Family.BINOMIAL and train.offset_n1 is None


def frames_of(history: History) -> list[dict[str, Any]]:
    frames = []
    for row in frame_rows(len(history)):
        *weights, bias = as_json(history.weights_at(row))
        loss, accuracy = as_json([history.columns["loss"][row], history.columns["accuracy"][row]])
        step = history.steps[row]
        frames.append({"step": step, "weights": weights, "bias": bias, "loss": loss, "accuracy": accuracy})
    return frames


def best_frame(history: History, result: dict[str, Any]) -> dict[str, Any] | None:
    """The report whose parameters the fit gives, where they are not those of its last step."""
    if result["best_step"] is None:
        return None
    row = history.steps.index(result["best_step"])
    values = {name: finite(column[row]) for name, column in history.columns.items()}
    weights = [entry["estimate"] for entry in result["coefficients"]] if result["has_boundary"] else []
    bias = result["intercepts"][0]["estimate"] if result["intercepts"] else 0.0
    return {"step": result["best_step"], "weights": weights, "bias": bias} | values


def _points(prepared: Prepared) -> dict[str, Any] | None:
    """Training rows on their own scale; of many, the same share of every class."""
    train = prepared.train
    if train.d != 2 or prepared.classes is None or train.is_sparse:
        return None
    class_n = train.class_n.cpu()
    rows_r = _stratified(class_n, len(prepared.classes)) if train.n > MAX_PLOT_POINTS else torch.arange(train.n)
    x_rd = prepared.preprocessing.rows_on_own_scale(train.x_np.cpu()[rows_r, : train.d])
    return {"x": x_rd.tolist(), "y": class_n[rows_r].tolist()}


def _stratified(class_n: Tensor, n_classes: int) -> Tensor:
    generator, chosen = torch.Generator().manual_seed(0), []
    for c in range(n_classes):
        rows_r = torch.nonzero(class_n == c).squeeze(1)
        n_chosen = max(1, MAX_PLOT_POINTS * len(rows_r) // len(class_n))
        chosen.append(rows_r[torch.randperm(len(rows_r), generator=generator)[:n_chosen]])
    return torch.cat(chosen).sort().values[:MAX_PLOT_POINTS]
