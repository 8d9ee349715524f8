"""From a spec to the problems that are fitted and validated: load, split, preprocess."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gradline.column_roles import NO_FEATURE
from gradline.data.blobs import draw_blobs
from gradline.data.bounds import box_of, check_bounds
from gradline.data.builtin import load_builtin
from gradline.data.folds import Folds, make_folds, may_share_numbers
from gradline.data.learning import Warn
from gradline.data.preprocessing import Preprocessing, fit_preprocessing
from gradline.data.room import Room
from gradline.data.sample import Roles, Sample
from gradline.data.split import assign_folds, class_lacking, split_rows
from gradline.data.targets import check_numbers, class_factors, family_of, on_scale_of_fit
from gradline.data.uploaded import Upload, UploadedFile
from gradline.errors import PermanentError
from gradline.specs.logistic_regression import (
    MULTINOMIAL_BOUNDS,
    Blobs,
    Builtin,
    Dataset,
    LogisticRegressionSpec,
)
from gradline.storage import ArtifactStore
from gradline.training import Box, Family, Problem

N_EXAMPLES = 20
LEAST_FLOAT32_ROWS = 100_000
"""From here on features that float32 holds as they are stay in it: passes over them take half as long."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a fit needs, and what turns its parameters back into something about the columns."""

    title: str
    """What to call the data on a plot."""
    classes: list[Any] | None
    """The target's values, class 0 first; of two, the second is the positive one. None: the target is a number."""
    examples: list[dict[str, Any]]
    """The first training rows as the source spells them."""
    preprocessing: Preprocessing
    train: Problem
    """Weights of classes included."""
    judged: Problem
    """The training rows as predictions of them are judged: without the weights of classes, as the validation rows."""
    validation: Problem | None
    folds: Folds | None
    """Where there is a cross-validation."""
    singles: frozenset[str] = frozenset()
    """Columns whose numbers were given in single precision."""
    n_without_target: int = 0
    """Rows of the file that were left out."""
    box: Box | None = None
    """Bounds of the coefficients of the features that training sees."""
    row_n: Tensor | None = None
    """Number of each training row among those of the source, from 0; None: the same, or nobody names rows."""


@dataclass(frozen=True)
class Sources:
    """Where data may come from, besides the spec."""

    job_stream: torch.Generator
    """The stream of the job's seed: blobs without a seed draw from it first, the initial weights after them."""
    find_upload: Callable[[str], UploadedFile]
    store: ArtifactStore
    room: Room
    """Where the features are put."""


def prepare(spec: LogisticRegressionSpec, sources: Sources, dtype: torch.dtype, warn: Warn) -> Prepared:
    """Everything is fitted on the training rows only. Raises PermanentError where the data cannot be used."""
    standardize = spec.preprocess.standardize
    if standardize is None:
        standardize = not isinstance(spec.data, Blobs)
    has_intercept = spec.model.fit_intercept
    upload = _upload(spec, sources, warn)
    row_n, (train, *held_out) = _samples(spec, sources, upload, dtype, is_shifted=standardize and has_intercept)
    fold_n, examples = _folds(train.roles, spec), _examples(train, spec)
    shares_numbers = fold_n is None or may_share_numbers(train, is_exact=not (standardize and spec.is_first_order))
    preprocessing, x_np = fit_preprocessing(
        train,
        spec.preprocess,
        sources.room,
        standardize=standardize,
        has_intercept=has_intercept,
        warn=warn,
        is_exact=not spec.is_first_order,
        keeps_sample=not shares_numbers,
    )
    if not preprocessing.feature_names:
        raise PermanentError(NO_FEATURE, code="bad_data")
    check_bounds(spec.model, preprocessing)
    family = family_of(spec.model, train.roles.classes)
    if spec.model.is_bounded and family == Family.MULTINOMIAL and not spec.penalty.is_there:
        raise PermanentError(f"spec.model: {MULTINOMIAL_BOUNDS}", code="bad_data")
    factor_c = class_factors(train.roles, spec.model)
    judged = _problem(x_np, train.roles, family, has_intercept, sources.room)
    validation = None
    if held_out:
        preprocessing.warn_of_unlisted(held_out[0], warn)
        x_np = preprocessing.apply(held_out[0], sources.room)
        validation = _problem(x_np, held_out[0].roles, family, has_intercept, sources.room)
    problem = judged if factor_c is None else _with_class_weights(judged, factor_c)
    folds = None
    if fold_n is not None:
        folds = make_folds(
            train,
            preprocessing,
            spec.preprocess,
            sources.room,
            fold_n,
            shares_numbers=shares_numbers,
            standardize=standardize,
            is_exact=not spec.is_first_order,
            is_penalised=spec.penalty.is_there,
            model=spec.model,
        )
    classes, singles = train.roles.classes, train.numbers.singles
    n_left_out = 0 if upload is None else upload.n_without_target
    box = box_of(spec.model, preprocessing)
    return Prepared(
        train.title,
        classes,
        examples,
        preprocessing,
        problem,
        judged,
        validation,
        folds,
        singles,
        n_left_out,
        box,
        row_n,
    )


def _with_class_weights(problem: Problem, factor_c: Tensor) -> Problem:
    factor_n1 = factor_c.to(problem.y_nk)[problem.class_n].unsqueeze(1)
    return replace(problem, weight_nb=factor_n1 if problem.weight_nb is None else problem.weight_nb * factor_n1)


def _upload(spec: LogisticRegressionSpec, sources: Sources, warn: Warn) -> Upload | None:
    """None: the data come from elsewhere. Warns of what is left out."""
    if not isinstance(spec.data, Dataset):
        return None
    upload = Upload(spec, sources.find_upload(spec.data.dataset_id), sources.store)
    if upload.left_out:
        warn("empty_columns", f"no feature, because no row has a value: {', '.join(upload.left_out)}")
    for name, note in upload.noted.items():
        warn(f"column_note:{name}", f"column {name!r}: {note}")
    if upload.n_without_target:
        warn("missing_target", f"{upload.n_without_target} rows have no value in {spec.data.target!r} and are left out")
    return upload


def _samples(
    spec: LogisticRegressionSpec, sources: Sources, upload: Upload | None, dtype: torch.dtype, *, is_shifted: bool
) -> tuple[Tensor | None, list[Sample]]:
    """The training rows, and those held out if any; before them the numbers of the training rows, where one of them
    will be named and that is not the place that it has here."""
    if upload is not None:
        if is_shifted and _suits_float32(spec, upload) and upload.fits_float32():
            dtype = torch.float32
        is_shifted = is_shifted and dtype == torch.float32
        if upload.all_rows_train:
            return None, [upload.whole(sources.room, dtype, is_shifted=is_shifted)]
        roles = upload.roles()
        parts = _parts(roles, spec)
        samples = upload.samples(roles, parts, sources.room, dtype, is_shifted=is_shifted)
    else:
        sample = _generated(spec, sources, dtype)
        parts = _parts(sample.roles, spec)
        samples = [sample] if len(parts) == 1 else [sample.rows(part_r) for part_r in parts]
    return None if spec.inference.influence is None else parts[0], samples


def _suits_float32(spec: LogisticRegressionSpec, upload: Upload) -> bool:
    """Where nobody names a precision: many rows of two classes, all that the sums over them are tested for, and no
    features but those of the file: a product of two columns has more digits than they have, and what is not centred
    lies too far from 0 for sums of products in float32. Passes over sparse features take as long in float64."""
    assert isinstance(spec.data, Dataset)  # noqa: S101  an upload
    is_plain = spec.data.weights is None and spec.data.offset is None and spec.model.class_weights is None
    is_plain = is_plain and spec.n_folds is None and spec.data.fold is None and spec.penalty.l1 == 0
    is_plain = is_plain and not spec.preprocess.interactions and spec.preprocess.sparse is not True
    is_dense = spec.preprocess.sparse is False or not upload.may_be_sparse(spec.preprocess.max_levels)
    has_two = upload.n_classes == 2 and spec.model.family in ("auto", "binomial")
    is_newton = spec.solver.name in ("auto", "newton") and not spec.model.is_bounded
    return spec.dtype is None and is_plain and is_dense and has_two and is_newton and upload.n >= LEAST_FLOAT32_ROWS


def _generated(spec: LogisticRegressionSpec, sources: Sources, dtype: torch.dtype) -> Sample:
    if isinstance(spec.data, Blobs):
        return draw_blobs(spec.data, dtype, sources.job_stream)
    assert isinstance(spec.data, Builtin)  # noqa: S101  the third source is an upload
    sample = load_builtin(spec.data.name, dtype)
    if sample.roles.classes is not None:
        return sample
    target_n, family = sample.roles.target_n, spec.model.family
    check_numbers(target_n, None, family, "target")
    return replace(sample, roles=replace(sample.roles, target_n=on_scale_of_fit(target_n, family)))


def _parts(roles: Roles, spec: LogisticRegressionSpec) -> list[Tensor]:
    """Row numbers of the training rows, and of those held out if any; rows of weight 0 or without a target are in
    neither."""
    kept_r = torch.arange(roles.n)
    if roles.has_target_n is not None:
        kept_r = kept_r[roles.has_target_n]
    if roles.weight_n is not None:
        kept_r = kept_r[roles.weight_n[kept_r] > 0]
    if roles.weight_n is not None and not bool(roles.weight_n[kept_r].double().sum().isfinite()):
        raise PermanentError(
            "spec.data.weights: the sum of the weights is no number; use smaller ones", code="bad_data"
        )
    if (lacking := class_lacking(roles, kept_r)) is not None:
        raise PermanentError(f"spec.data.weights: every row of class {lacking!r} has weight 0", code="bad_data")
    if spec.split.validation_fraction == 0:
        return [kept_r]
    return [kept_r[part_r] for part_r in split_rows(roles.rows(kept_r), spec.split)]


def _examples(train: Sample, spec: LogisticRegressionSpec) -> list[dict[str, Any]]:
    rows, offset_n = train.as_given(N_EXAMPLES), train.roles.offset_n
    if offset_n is None or not isinstance(spec.data, Dataset) or spec.data.offset is None:
        return rows
    return [row | {spec.data.offset: value} for row, value in zip(rows, offset_n[: len(rows)].tolist(), strict=True)]


def _folds(roles: Roles, spec: LogisticRegressionSpec) -> Tensor | None:
    if spec.n_folds is None and roles.fold_n is None:
        return None
    return assign_folds(roles, spec.n_folds, spec.split)


def _problem(x_np: Tensor, roles: Roles, family: Family, has_intercept: bool, room: Room) -> Problem:
    if roles.offset_n is not None and family == Family.MULTINOMIAL:
        raise PermanentError("spec.data.offset: a multinomial family has no place for an offset", code="bad_data")
    return Problem(
        x_np,
        _targets(roles, family, x_np.dtype),
        family,
        has_intercept,
        _column(roles.weight_n, x_np.dtype),
        _column(roles.offset_n, x_np.dtype),
        let_go=room.let_go if room.is_beyond else None,
        entries=room.entries if room.is_beyond else None,
    )


def _column(values_n: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if values_n is None else values_n.to(dtype).unsqueeze(1)


def _targets(roles: Roles, family: Family, dtype: torch.dtype) -> Tensor:
    """y_nk: one column a class for multinomial, else one."""
    if family != Family.MULTINOMIAL:
        return roles.target_n.to(dtype).unsqueeze(1)
    assert roles.classes is not None  # noqa: S101  the family has classes
    y_nk = torch.zeros(roles.n, len(roles.classes), dtype=dtype)
    return y_nk.scatter_(1, roles.target_n.unsqueeze(1), 1.0)
