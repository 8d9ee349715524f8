"""Writes the scorecard of a finished fit: model.json, all that is needed to score rows as they come.

Its format stands in `gradline.scoring`. It carries rows that training saw with the linear predictors that training gave
them, so that whoever loads or converts the model can check that it says the same.
"""

import json
from typing import Any

import torch
from torch import Tensor

from gradline.data.prepare import Prepared
from gradline.data.preprocessing import MISSING_LEVEL, NumericFeatures, TextFeatures
from gradline.data.sample import Block, NumericBlock, Sample
from gradline.scoring import FORMAT, VERSION
from gradline.specs.logistic_regression import Dataset, LogisticRegressionSpec, Preprocess
from gradline.training import Family, linear_predictor

MAX_EXAMPLES = 20
MAX_EXAMPLE_VALUES = 4000
"""Wide tables give fewer examples, but two at least."""


def write_scorecard(
    prepared: Prepared, theta_bkp: Tensor, spec: LogisticRegressionSpec, threshold: float = 0.5
) -> bytes:
    """The model on the columns' own scale; its parameters must be finite."""
    w_kd, c_k = prepared.preprocessing.on_own_scale(theta_bkp[0].cpu())
    sample, family = prepared.train_sample, prepared.train.family
    parts = list(zip(prepared.preprocessing.parts, sample.blocks, strict=True))
    factors = [f for part, _ in parts for f in _factors(part)]
    names = prepared.preprocessing.feature_names
    document = {
        "format": FORMAT,
        "version": VERSION,
        "family": family.value,
        "target": spec.data.target if isinstance(spec.data, Dataset) else None,
        "classes": sample.classes if family.is_classification else None,
        "threshold": threshold if family == Family.BINOMIAL else None,
        "inputs": [i for part, block in parts for i in _inputs(part, block, spec.preprocess)],
        "offset": None,
        "features": [
            {"name": name, "factors": f, "coefficients": w_k}
            for name, f, w_k in zip(names, factors, w_kd.T.tolist(), strict=True)
        ],
        "intercepts": c_k.tolist(),
        "examples": _examples(prepared, theta_bkp),
    }
    return json.dumps(document).encode()


def _inputs(part: NumericFeatures | TextFeatures, block: Block, policy: Preprocess) -> list[dict[str, Any]]:
    is_refused = policy.missing == "error"
    if isinstance(part, TextFeatures):
        unseen = part.levels[0]
        missing = MISSING_LEVEL if MISSING_LEVEL in part.levels else unseen
        own = {"levels": part.levels, "missing": None if is_refused else missing, "unseen": unseen}
        return [{"column": part.name, "type": "text", **own}]
    kind = "boolean" if isinstance(block, NumericBlock) and block.is_boolean else "number"
    fills = [None] * len(part.names) if is_refused else part.fill_j.tolist()
    return [{"column": name, "type": kind, "fill": fill} for name, fill in zip(part.names, fills, strict=True)]


def _factors(part: NumericFeatures | TextFeatures) -> list[list[dict[str, Any]]]:
    """Of each feature of the part, in order."""
    if isinstance(part, TextFeatures):
        return [[{"column": part.name, "level": level}] for level in part.levels[1:]]
    indicators = [[{"column": part.names[j], "is_missing": True}] for j in part.indicators]
    return [[{"column": name}] for name in part.names] + indicators


# --- rows to check with


def _examples(prepared: Prepared, theta_bkp: Tensor) -> dict[str, Any]:
    """The first training rows as they were, and the linear predictors that training gives them."""
    n_columns = sum(len(b.names) if isinstance(b, NumericBlock) else 1 for b in prepared.train_sample.blocks)
    n = min(prepared.train.n, MAX_EXAMPLES, max(2, MAX_EXAMPLE_VALUES // n_columns))
    z_nk = linear_predictor(prepared.train.rows(torch.arange(n, device=theta_bkp.device)), theta_bkp[:1])
    return {"rows": _raw_rows(prepared.train_sample, n), "linear_predictors": z_nk.double().tolist()}


def _raw_rows(sample: Sample, n: int) -> list[dict[str, Any]]:
    columns: dict[str, list[Any]] = {}
    for block in sample.blocks:
        if isinstance(block, NumericBlock):
            values = block.values_nj[:n].T.tolist()
            columns |= {
                name: [_raw(v, block.is_boolean) for v in vs] for name, vs in zip(block.names, values, strict=True)
            }
        else:
            levels = [*block.levels, None]
            columns[block.name] = [levels[code] for code in block.code_n[:n].tolist()]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _raw(value: float, is_boolean: bool) -> float | bool | None:
    if value != value:  # NaN
        return None
    return bool(value) if is_boolean else value
