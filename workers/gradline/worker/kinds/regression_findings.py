"""What the doctor found, in words and on the columns' own scale."""

from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from gradline.data.features import Part, TextFeatures
from gradline.data.prepare import Prepared
from gradline.inference.collinearity import Collinearity
from gradline.inference.parameters import scale_without_constants
from gradline.inference.separation import Levels, Separation
from gradline.worker.kinds.history import finite


def own_scale(prepared: Prepared, constant: list[int]) -> Tensor:
    """The linear map, [p, p], from an output's parameters as training saw them to the columns' own scale.

    `constant`: columns whose coefficients are held at 0.
    """
    p, d = prepared.train.p, prepared.train.d
    w_pd, c_p = prepared.preprocessing.on_own_scale(torch.eye(p, dtype=torch.float64))
    map_pp = torch.cat((w_pd, c_p.unsqueeze(1)), 1).T if p > d else w_pd.T
    map_pp = map_pp.to(prepared.train.y_nk.device)
    return scale_without_constants(prepared.train, map_pp, constant) if constant else map_pp


def features_of(parts: list[Part]) -> list[list[int]]:
    """The features of each part."""
    after = accumulate((len(part.feature_names) for part in parts), initial=0)
    return [list(range(*ends)) for ends in pairwise(after)]


def levels_of(prepared: Prepared) -> Levels:
    learned, device = prepared.preprocessing, prepared.train.y_nk.device
    of_parts = zip(learned.parts, features_of(learned.parts), strict=True)
    features = [features for part, features in of_parts if isinstance(part, TextFeatures)]
    absent_d, present_d = -learned.centre_d / learned.scale_d, (1 - learned.centre_d) / learned.scale_d
    return Levels(features, absent_d.to(device), present_d.to(device))


def _references(prepared: Prepared) -> list[str]:
    return [f"{part.name}={part.levels[0]}" for part in prepared.preprocessing.parts if isinstance(part, TextFeatures)]


WITHOUT_CLASSES = "set penalty.l2 above 0, leave the columns out, or join their levels"
ADVICE = f"set on_separation to firth (Firth's penalised likelihood) or ridge, {WITHOUT_CLASSES}"


def separation_block(found: Separation, prepared: Prepared) -> dict[str, Any]:
    names, classes = [*prepared.preprocessing.feature_names, *_references(prepared)], prepared.classes
    reported = reported_parameters(prepared)
    spelled = {1.0: "inf", -1.0: "-inf"}
    return {
        "kind": "complete" if found.is_complete else "quasi_complete",
        "n_rows": found.n_rows,
        "separators": [
            {
                "feature": names[s.feature],
                "class": None if classes is None else classes[s.class_index],
                "side": "above" if s.is_above else "below",
                "strict": s.is_strict,
            }
            for s in found.separators
        ],
        "combination": [names[j] for j in found.combination],
        "infinite": [
            {**name, "direction": spelled.get(sign, "undetermined")}
            for name, sign in zip(reported, found.direction_m.tolist(), strict=True)
            if sign != 0
        ],
        "mend": None,
        "advice": WITHOUT_CLASSES if classes is None else ADVICE,
    }


def culprits_of(told: dict[str, Any]) -> str:
    """The columns or levels of a separation block: each that separates by itself, or those that do together."""
    by_itself, together = sorted({s["feature"] for s in told.get("separators", [])}), told.get("combination")
    culprits = " + ".join(map(repr, together[:5])) if together else ", ".join(map(repr, by_itself[:5]))
    n_more = max(len(by_itself), len(together or [])) - 5
    return culprits + (f" and {n_more} more columns" if n_more > 0 else "")


def reported_parameters(prepared: Prepared) -> list[dict[str, Any]]:
    """What each reported parameter belongs to, in the order of `functionals`."""
    problem, names = prepared.train, prepared.preprocessing.feature_names
    own = [{"feature": name} for name in names] + ([{"intercept": True}] if problem.has_intercept else [])
    if problem.k == 1 or prepared.classes is None:
        return own
    return [{**name, "class": c} for c in prepared.classes for name in own]


def collinearity_block(found: Collinearity, names: list[str]) -> dict[str, Any]:
    return {
        "constant": [names[j] for j in found.constant],
        "dependent": [{"feature": names[s.feature], "of": [names[j] for j in s.others]} for s in found.sets],
        "rank": found.rank,
        "n_features": len(names),
        "condition_number": finite(found.condition_number),
        "n_rows": found.n_rows,
        "vif": [{"feature": name, "vif": finite(vif)} for name, vif in zip(names, found.vif_d.tolist(), strict=True)],
    }
