"""What a column does as a whole: tests of all coefficients that it stands for, and average marginal effects."""

from collections import defaultdict
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradline.data.features import InteractionFeatures, NumericFeatures, Part, TextFeatures, main_names, term_names
from gradline.data.prepare import Prepared
from gradline.inference.covariance import Inverse
from gradline.inference.likelihood import Likelihood
from gradline.inference.margins import Move, Units, are_zero_or_one, average_effects
from gradline.inference.parameters import n_free_outputs
from gradline.inference.terms import joint_tests
from gradline.inference.wald import Reference, Table, delta_table
from gradline.specs.regression.judgement import Inference
from gradline.training import Family
from gradline.worker.kinds.history import finite
from gradline.worker.kinds.regression_findings import features_of

DETERMINED = 1e-5
"""Share of what moves with a feature that may lie along what the rows do not determine: products in float32 are those
of their factors up to rounding."""


class Estimated(NamedTuple):
    """The free parameters, and how sure they are."""

    theta_q: Tensor
    covariance_qq: Tensor
    inverse: Inverse
    reference: Reference
    constant: list[int]
    """Columns whose coefficients are held at 0."""


def term_tests(prepared: Prepared, fit: Estimated) -> list[dict[str, Any]]:
    """An entry for each column and each interaction, with all features and classes."""
    parts, problem = prepared.preprocessing.parts, prepared.train
    features_t = features_of(parts)
    first_f = [c * problem.p for c in range(n_free_outputs(problem))]
    terms = [[first + j for first in first_f for j in features] for features in features_t]
    tests = joint_tests(fit.theta_q, fit.covariance_qq, fit.inverse, terms)
    p_value_t = fit.reference.joint(tests.statistic_t, tests.df_t)
    entries: list[dict[str, Any]] = []
    for t, name in enumerate(term_names(parts)):
        df, n_determined, chi2 = int(tests.df_t[t]), int(tests.n_determined_t[t]), float(tests.statistic_t[t])
        entry = {"term": name, "df": df, "chi2": finite(chi2) if df else None, "p_value": finite(float(p_value_t[t]))}
        if n_determined < len(terms[t]):
            entry["undetermined"] = "constant" if set(features_t[t]) <= set(fit.constant) else "collinear"
        elif df < n_determined:
            entry["undetermined"] = "singular"
        entries.append(entry)
    return entries


def marginal_effects(
    prepared: Prepared, fit: Estimated, asked: Inference, between: Callable[[], None]
) -> list[dict[str, Any]]:
    """An entry for each feature that is no product, and each class where there are more than two.

    The rows are those of training without the weights of classes, which stand for none that occurred.
    """
    learned, device = prepared.preprocessing, fit.theta_q.device
    units = Units(learned.centre_d.to(device), learned.scale_d.to(device))
    moves = _moves(prepared, units)
    average = average_effects(Likelihood(prepared.judged), fit.theta_q, moves, units, between)
    effect_mk, jacobian_mkq = average.effect_mf, average.jacobian_mfq
    is_determined_m = _are_determined(moves, average.by_slope_mfq, fit.inverse)
    classes: list[dict[str, Any]] = [{}]
    if prepared.train.family == Family.MULTINOMIAL:  # whose chances add up to 1
        effect_mk = torch.cat((-effect_mk.sum(1, keepdim=True), effect_mk), 1)
        jacobian_mkq = torch.cat((-jacobian_mkq.sum(1, keepdim=True), jacobian_mkq), 1)
        classes = [{"class": name} for name in prepared.classes or []]
    jacobian_eq = jacobian_mkq.transpose(0, 1).flatten(0, 1)
    is_determined_e = is_determined_m.repeat(len(classes))
    effect_e = torch.where(is_determined_e, effect_mk.T.flatten(), torch.nan)
    table = delta_table(effect_e, jacobian_eq, fit.covariance_qq, is_determined_e, fit.reference, asked.confidence)
    undetermined_e = [
        None if is_known else "constant" if move.feature in fit.constant else "collinear"
        for move, is_known in zip(moves * len(classes), is_determined_e.tolist(), strict=True)
    ]
    names = learned.feature_names
    told = [{"feature": names[move.feature], **own} for own in classes for move in moves]
    return _entries(told, table, undetermined_e, has_intervals=asked.intervals != "none")


def _entries(
    told: list[dict[str, Any]], table: Table, undetermined_e: list[str | None], *, has_intervals: bool
) -> list[dict[str, Any]]:
    columns = {"effect": table.estimate_m, "std_error": table.std_error_m, "z": table.statistic_m}
    columns["p_value"] = table.p_value_m
    if has_intervals:
        columns |= {"ci_low": table.low_m, "ci_high": table.high_m}
    numbers = {name: column.tolist() for name, column in columns.items()}
    return [
        entry
        | {name: finite(column[e]) for name, column in numbers.items()}
        | ({} if undetermined is None else {"undetermined": undetermined})
        for e, (entry, undetermined) in enumerate(zip(told, undetermined_e, strict=True))
    ]


def _are_determined(moves: list[Move], by_slope_mfq: Tensor, inverse: Inverse) -> Tensor:
    """Whether the rows determine what moves with the feature, and with the others that must be 0 where it starts."""
    is_known_mf = inverse.determines(by_slope_mfq.flatten(0, 1), DETERMINED).view(by_slope_mfq.shape[:2])
    unknown = {move.feature for move, is_known in zip(moves, is_known_mf.all(1).tolist(), strict=True) if not is_known}
    are_known = [unknown.isdisjoint([move.feature, *(move.companions or [])]) for move in moves]
    return torch.tensor(are_known, device=by_slope_mfq.device)


def _moves(prepared: Prepared, units: Units) -> list[Move]:
    """Of each feature that is no product, in their order."""
    columns = _columns(prepared.preprocessing.parts)
    products = _products(prepared.preprocessing.parts)
    numeric = [j for part, features in columns if isinstance(part, NumericFeatures) for j in features]
    changing = [[j] for j in are_zero_or_one(prepared.judged, numeric, units)]
    changing += [features for part, features in columns if isinstance(part, TextFeatures)]
    companions = {j: [*own, *(place for i in own for place, _ in products[i])] for own in changing for j in own}
    return [Move(j, products[j], companions.get(j)) for _, features in columns for j in features]


def _columns(parts: list[Part]) -> list[tuple[NumericFeatures | TextFeatures, list[int]]]:
    """Without interactions."""
    told = zip(parts, features_of(parts), strict=True)
    return [(part, features) for part, features in told if not isinstance(part, InteractionFeatures)]


def _products(parts: list[Part]) -> dict[int, list[tuple[int, int]]]:
    """Of each feature: where its products with others stand, and where the others."""
    factors = {part.name: features[: len(main_names(part))] for part, features in _columns(parts)}
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for part, places in zip(parts, features_of(parts), strict=True):
        if isinstance(part, InteractionFeatures):
            pairs = product(factors[part.left.name], factors[part.right.name])
            for place, (left, right) in zip(places, pairs, strict=True):
                found[left].append((place, right))
                found[right].append((place, left))
    return found
