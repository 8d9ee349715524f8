"""What a finished fit says: how it ended, how good it is, and its coefficients on the columns' own scale."""

import hashlib
import json
from typing import Any

from torch import Tensor

from gradline.data.prepare import Prepared
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.training import Outcome
from gradline.worker.kinds.history import finite
from gradline.worker.kinds.regression_findings import culprits_of

ADVICE = {
    Outcome.STEP_LIMIT: "it took all steps it was given: raise stop.max_steps; where a solver was named, auto may need "
    "fewer of them",
    Outcome.SEPARATED: "a combination of the columns separates the rows, so coefficients grow without end: set "
    "penalty.l2 above 0",
    Outcome.ILL_CONDITIONED: "some columns are nearly combinations of others: leave out those that `collinearity` "
    "names, or set penalty.l2 above 0",
    Outcome.DIVERGED: "the loss is not finite: lower solver.learning_rate or penalty.l2, or standardise the columns",
    Outcome.STALLED: "no step lowers the objective at this precision: standardise the columns or set dtype to float64; "
    "the certificate says how flat it is",
}


def advice_of(outcome: Outcome, separation: dict[str, Any] | None, *, can_mend: bool) -> str | None:
    """What to do about an outcome, with the columns that are to blame where the doctor found them. `can_mend`: he has
    not looked, and would if he were asked to."""
    if outcome == Outcome.SEPARATED and separation is None and can_mend:
        return f"{ADVICE[outcome]}, or on_separation to firth or ridge"
    if outcome == Outcome.STEP_LIMIT and separation is not None and (mend := separation.get("mend")):
        return f"on_separation {mend} did not converge: set penalty.l2 above 0, or leave columns out"
    if outcome != Outcome.SEPARATED or separation is None or not (culprits := culprits_of(separation)):
        return ADVICE.get(outcome)
    return f"the rows are separated by {culprits}, so coefficients grow without end: {separation['advice']}"


def family_of(spec: LogisticRegressionSpec, prepared: Prepared) -> dict[str, str]:
    """`name` and `reason`."""
    if spec.model.family != "auto":
        return {"name": spec.model.family, "reason": "asked for"}
    classes = prepared.classes or []
    reason = f"the target has {len(classes)} classes"
    if len(classes) > 2 and all(isinstance(name, int | float) for name in classes):
        reason = (
            f"each of the {len(classes)} whole numbers in the target is taken for a class; if they count or measure "
            "something, set model.family to gaussian, log-linear or poisson"
        )
    return {"name": prepared.train.family.value, "reason": reason}


def coefficients_of(prepared: Prepared, theta_bkp: Tensor) -> dict[str, Any]:
    """`coefficients` and `intercepts` on the columns' own scale; each names its class where there are more than one,
    and the bound that it is at."""
    w_kd, c_k = prepared.preprocessing.on_own_scale(theta_bkp[0].cpu())
    names = prepared.preprocessing.feature_names
    has_intercept = theta_bkp.shape[2] > len(names)
    classes = [{}] if len(c_k) == 1 else [{"class": name} for name in prepared.classes or []]
    rows = zip(classes, w_kd.tolist(), strict=True)
    at_bound = _at_bound(prepared, theta_bkp)
    return {
        "coefficients": [
            {"feature": name, **own, "estimate": finite(w), **at_bound.get((c, j), {})}
            for c, (own, row) in enumerate(rows)
            for j, (name, w) in enumerate(zip(names, row, strict=True))
        ],
        "intercepts": [{**own, "estimate": finite(c)} for own, c in zip(classes, c_k.tolist(), strict=True)]
        if has_intercept
        else [],
    }


def _at_bound(prepared: Prepared, theta_bkp: Tensor) -> dict[tuple[int, int], dict[str, str]]:
    """By class and feature."""
    if prepared.box is None:
        return {}
    at_least_kd, at_most_kd = (is_at_bkd[0].cpu() for is_at_bkd in prepared.box.at(theta_bkp[:, :, : prepared.train.d]))
    told = {(c, j): {"at_bound": "at_most"} for c, j in at_most_kd.nonzero().tolist()}
    return told | {(c, j): {"at_bound": "at_least"} for c, j in at_least_kd.nonzero().tolist()}


def fingerprint_of(theta_bkp: Tensor, environment: dict[str, Any]) -> str:
    """SHA-256 of the last weights and of what their bits depend on."""
    digest = hashlib.sha256(theta_bkp.cpu().contiguous().numpy().tobytes())
    digest.update(json.dumps(environment, sort_keys=True).encode())
    return digest.hexdigest()
