"""Writes the scorecard of a finished fit: model.json, all that is needed to score rows as they come.

Its format stands in `gradline.scoring`. It carries rows that training saw with the linear predictors that training gave
them, so that whoever loads or converts the model can check that it says the same.
"""

import json
from typing import Any

import torch
from torch import Tensor

from gradline.data.features import InteractionFeatures, NumericFeatures, Part, TextFeatures
from gradline.data.prepare import Prepared
from gradline.scoring import FORMAT, VERSION
from gradline.specs.logistic_regression import Dataset, LogisticRegressionSpec
from gradline.training import Family, linear_predictor

MAX_EXAMPLE_VALUES = 4000
"""Wide tables give fewer examples, but two at least."""


def write_scorecard(
    prepared: Prepared,
    theta_bkp: Tensor,
    spec: LogisticRegressionSpec,
    uncertainty: dict[str, Any],
    threshold: float = 0.5,
) -> bytes:
    """The model on the columns' own scale; its parameters must be finite. `uncertainty` is as the format has it."""
    w_kd, c_k = prepared.preprocessing.on_own_scale(theta_bkp[0].cpu())
    family, parts = prepared.train.family, prepared.preprocessing.parts
    factors = [f for part in parts for f in _factors(part)]
    names, mean_d = prepared.preprocessing.feature_names, prepared.preprocessing.mean_d
    document = {
        "format": FORMAT,
        "version": VERSION,
        "family": family.value if spec.model.family != "log-linear" else spec.model.family,
        "target": spec.data.target if isinstance(spec.data, Dataset) else None,
        "classes": prepared.classes,
        "threshold": threshold if family == Family.BINOMIAL else None,
        "inputs": [_input(part) for part in parts if not isinstance(part, InteractionFeatures)],
        "offset": spec.data.offset if isinstance(spec.data, Dataset) else None,
        "features": [
            {"name": name, "factors": f, "coefficients": w_k}
            for name, f, w_k in zip(names, factors, w_kd.T.tolist(), strict=True)
        ],
        "intercepts": c_k.tolist(),
        "means": None if mean_d is None else mean_d.tolist(),
        "uncertainty": uncertainty,
        "examples": _examples(prepared, theta_bkp),
    }
    return json.dumps(document).encode()


def _input(part: NumericFeatures | TextFeatures) -> dict[str, Any]:
    if isinstance(part, TextFeatures):
        own = {"levels": part.levels, "missing": part.missing, "unseen": part.unseen, "is_numeric": part.is_numeric}
        return {"column": part.name, "type": "text", **own}
    return {"column": part.name, "type": "boolean" if part.is_boolean else "number", "fill": part.fill}


def _factors(part: Part) -> list[list[dict[str, Any]]]:
    """Of each feature of the part, in order."""
    if isinstance(part, InteractionFeatures):
        return [a + b for a in _main_factors(part.left) for b in _main_factors(part.right)]
    indicators = [[{"column": part.name, "is_missing": True}]] if _has_indicator(part) else []
    return _main_factors(part) + indicators


def _main_factors(part: NumericFeatures | TextFeatures) -> list[list[dict[str, Any]]]:
    if isinstance(part, TextFeatures):
        return [[{"column": part.name, "level": level}] for level in part.levels[1:]]
    return [[{"column": part.name}]]


def _has_indicator(part: NumericFeatures | TextFeatures) -> bool:
    return isinstance(part, NumericFeatures) and part.has_indicator


# --- rows to check with


def _examples(prepared: Prepared, theta_bkp: Tensor) -> dict[str, Any]:
    """The first training rows as they were, and the linear predictors that training gives them."""
    n_columns = max(1, len(prepared.examples[0]))
    n = min(len(prepared.examples), max(2, MAX_EXAMPLE_VALUES // n_columns))
    z_nk = linear_predictor(prepared.train.rows(torch.arange(n, device=theta_bkp.device)), theta_bkp[:1])
    return {"rows": prepared.examples[:n], "linear_predictors": z_nk.double().tolist()}
