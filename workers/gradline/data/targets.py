"""What the rows are asked to teach, as the families want it: indices of classes, or numbers.

Shapes: n rows, c classes.
"""

from typing import Any

import torch
from torch import Tensor

from gradline.column_roles import ABOVE_ZERO, ALL_ZERO, is_refused, spell_class
from gradline.data.sample import Roles
from gradline.errors import PermanentError
from gradline.specs.logistic_regression import Model
from gradline.training import Family

MAX_NUMBER = 1e150
"""Of a target: sums of squares of more have no room in float64."""


def family_of(model: Model, classes: list[Any] | None) -> Family:
    """The family that is fitted; log-linear is gaussian for the logarithm of the target."""
    if model.is_numeric:
        return Family.POISSON if model.family == "poisson" else Family.GAUSSIAN
    assert classes is not None  # noqa: S101  a target of numbers needs its family named
    if model.family == "binomial" and len(classes) > 2:
        raise PermanentError(
            f"spec.model.family is binomial, but the target has {len(classes)} classes", code="bad_data"
        )
    return Family.BINOMIAL if len(classes) == 2 and model.family != "multinomial" else Family.MULTINOMIAL


def check_numbers(value_n: Tensor, weight_n: Tensor | None, family: str, name: str) -> None:
    """Raises PermanentError naming the first row whose target the family cannot take; rows count from 1.

    NaN: the row has no target. Rows of weight 0 may hold anything.
    """
    counts_n = ~value_n.isnan() if weight_n is None else (weight_n > 0) & ~value_n.isnan()
    highest = float(value_n.abs().where(counts_n, 0.0).amax())
    if family == "poisson" and highest == 0:
        raise PermanentError(f"the target {name!r} {ALL_ZERO}", code="bad_data")
    if family != "log-linear" and highest > MAX_NUMBER:
        reason = f"the values of the target {name!r} are so large that their squares are no numbers; use another unit"
        raise PermanentError(reason, code="bad_data")
    if family not in ABOVE_ZERO:
        return
    is_wrong_n = is_refused(value_n, family) & counts_n
    if bool(is_wrong_n.any()):
        row = int(is_wrong_n.nonzero()[0])
        raise PermanentError(
            f"the target {name!r} is {value_n[row].item()} in data row {row + 1}; the family {family} "
            f"{ABOVE_ZERO[family]} ({int(is_wrong_n.sum())} such rows)",
            code="bad_data",
        )


def on_scale_of_fit(value_n: Tensor, family: str) -> Tensor:
    """The logarithm for log-linear."""
    return value_n.log() if family == "log-linear" else value_n


def class_factors(roles: Roles, model: Model) -> Tensor | None:
    """By what each class multiplies the weights of its training rows; None where classes are not weighed."""
    if model.class_weights is None:
        return None
    assert roles.classes is not None  # noqa: S101  the spec has no class weights for numbers
    if model.class_weights == "balanced":
        counts_n = torch.ones(roles.n, dtype=torch.float64) if roles.weight_n is None else roles.weight_n.double()
        weight_c = torch.bincount(roles.target_n, counts_n, minlength=len(roles.classes))
        return weight_c.sum() / (len(roles.classes) * weight_c)
    by_name = {spell_class(c): index for index, c in enumerate(roles.classes)}
    factor_c = torch.ones(len(roles.classes), dtype=torch.float64)
    for name, factor in model.class_weights.items():
        if name not in by_name:
            reason = f"the target has no class {name!r}; it has: {', '.join(map(repr, by_name))}"
            raise PermanentError(f"spec.model.class_weights: {reason}", code="bad_data")
        factor_c[by_name[name]] = factor
    return factor_c
