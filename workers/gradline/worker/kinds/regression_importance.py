"""How much each column of the data moves the linear predictor.

As H2O's variable importance: the absolute coefficients of standardised features, added up over what is made of a column
(its levels, and what says where it is missing) and over classes.

Shapes: d features, k outputs, t terms.
"""

from typing import Any

import torch

from gradline.data.features import term_names
from gradline.data.prepare import Prepared
from gradline.training import Outcome
from gradline.worker.kinds.history import finite
from gradline.worker.kinds.regression_doctor import INFINITE, Examination

UNKNOWN = "how far columns scatter is not known, as nothing of this fit needed it; set preprocess.standardize to true"
DIVERGED = "the fit diverged"


def importance_of(result: dict[str, Any], prepared: Prepared, fit: Examination) -> dict[str, Any]:
    """`importance`, largest first, from the coefficients that the result tells; or None, and why under
    `importance_withheld`."""
    if (withheld := _withheld(result, prepared, fit)) is not None:
        return {"importance": None, "importance_withheld": withheld}
    return {"importance": _terms(result, prepared), "importance_withheld": None}


def _withheld(result: dict[str, Any], prepared: Prepared, fit: Examination) -> str | None:
    deviation_d = prepared.preprocessing.deviation_d
    if fit.outcome == Outcome.DIVERGED or any(entry["estimate"] is None for entry in result["coefficients"]):
        return DIVERGED
    if fit.outcome == Outcome.SEPARATED or fit.infinite_m is not None:
        return INFINITE
    return UNKNOWN if deviation_d is None or not bool(deviation_d.isfinite().all()) else None


def _terms(result: dict[str, Any], prepared: Prepared) -> list[dict[str, Any]]:
    learned = prepared.preprocessing
    assert learned.deviation_d is not None  # noqa: S101  the caller looked
    w_kd = torch.tensor([entry["estimate"] for entry in result["coefficients"]], dtype=torch.float64)
    size_d = w_kd.view(-1, len(learned.deviation_d)).abs().sum(0) * learned.deviation_d
    size_t = torch.stack([some.sum() for some in size_d.split([len(part.feature_names) for part in learned.parts])])
    share_t, terms = size_t / size_t.sum(), term_names(learned.parts)
    return [
        {"term": terms[t], "importance": finite(float(size_t[t])), "share": finite(float(share_t[t]))}
        for t in size_t.sort(descending=True, stable=True).indices.tolist()
    ]
