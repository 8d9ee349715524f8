"""The spec's bounds on coefficients, on the scale of the features that a fit sees.

Shapes: d features.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from gradline.data.preprocessing import Preprocessing
from gradline.errors import PermanentError
from gradline.specs.regression.model import Bounds, Model
from gradline.training import Box


def box_of(model: Model, learned: Preprocessing) -> Box | None:
    """None where nothing is bounded. Names that are no feature's count for nothing: a fold may lack a level.

    Coefficients of features over scale_d are scale_d times those of the columns as given.
    """
    if not model.is_bounded:
        return None
    lower_d = torch.full_like(learned.scale_d, 0.0 if model.non_negative else -torch.inf)
    upper_d = torch.full_like(learned.scale_d, torch.inf)
    for name, bounds in (model.bounds or {}).items():
        for j in _features_of(name, learned):
            lower_d[j] = lower_d[j] if bounds.at_least is None else max(float(lower_d[j]), bounds.at_least)
            upper_d[j] = upper_d[j] if bounds.at_most is None else min(float(upper_d[j]), bounds.at_most)
    return _inside(lower_d, upper_d, learned.scale_d)


def _inside(lower_d: Tensor, upper_d: Tensor, scale_d: Tensor) -> Box:
    """Times the scale, and over it no rounding goes beyond them."""
    own_lower_d, own_upper_d = lower_d * scale_d, upper_d * scale_d
    infinite_d = torch.full_like(scale_d, torch.inf)
    own_lower_d = torch.where(own_lower_d / scale_d < lower_d, own_lower_d.nextafter(infinite_d), own_lower_d)
    own_upper_d = torch.where(own_upper_d / scale_d > upper_d, own_upper_d.nextafter(-infinite_d), own_upper_d)
    return Box(own_lower_d, torch.where(lower_d == upper_d, own_lower_d, own_upper_d))


def check_bounds(model: Model, learned: Preprocessing) -> None:
    """Raises PermanentError where a name is no feature's, or nothing is within the bounds of all names together."""
    for name, bounds in (model.bounds or {}).items():
        if not any(True for _ in _features_of(name, learned)):
            raise PermanentError(f"spec.model.bounds: {_why_not(name, bounds, learned)}", code="bad_data")
    box = box_of(model, learned)
    if box is not None and bool((is_empty_d := box.lower_d > box.upper_d).any()):
        j = int(is_empty_d.nonzero()[0])
        low, high = (float(bound_d[j] / learned.scale_d[j]) for bound_d in box)
        reason = f"nothing is at least {low:g} and at most {high:g}, as asked of {learned.feature_names[j]!r} together"
        raise PermanentError(f"spec.model.bounds: {reason}", code="bad_data")


def _why_not(name: str, bounds: Bounds, learned: Preprocessing) -> str:
    """`name` makes no feature."""
    given = ", ".join(f"{field} {value:g}" for field, value in bounds if value is not None)
    if name in (part.name for part in learned.parts):
        return f"{name!r} ({given}) has one level only, which has no coefficient"
    known = list(dict.fromkeys([part.name for part in learned.parts] + learned.feature_names))
    return f"{name!r} ({given}) is neither a column nor a feature; there are: {', '.join(known)}"


def _features_of(name: str, learned: Preprocessing) -> Iterator[int]:
    """Those with the name, and those that a column of the name or the product of two makes, but for what says where it
    is missing."""
    names, kinds = learned.feature_names, learned.feature_kinds
    owners = [part.name for part in learned.parts for _ in part.feature_names]
    for j, (own, kind, owner) in enumerate(zip(names, kinds, owners, strict=True)):
        if own == name or (owner == name and kind != "indicator"):
            yield j
