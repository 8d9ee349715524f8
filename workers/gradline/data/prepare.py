"""From a spec to the problems that are fitted and validated: load, split, preprocess."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from gradline.data.blobs import draw_blobs
from gradline.data.builtin import load_builtin
from gradline.data.preprocessing import Preprocessing, Warn, check_complete, fit_preprocessing
from gradline.data.sample import Sample
from gradline.data.split import split_rows
from gradline.data.uploaded import UploadedFile, load_uploaded
from gradline.errors import PermanentError
from gradline.specs.logistic_regression import Blobs, Builtin, LogisticRegressionSpec
from gradline.storage import ArtifactStore
from gradline.training import Family, Problem, make_problem


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a fit needs, and what turns its parameters back into something about the columns."""

    train_sample: Sample
    preprocessing: Preprocessing
    train: Problem
    validation: Problem | None


@dataclass(frozen=True)
class Sources:
    """Where data may come from, besides the spec."""

    job_stream: torch.Generator
    """The stream of the job's seed: blobs without a seed draw from it first, the initial weights after them."""
    find_upload: Callable[[str], UploadedFile]
    store: ArtifactStore


def load_sample(spec: LogisticRegressionSpec, sources: Sources, dtype: torch.dtype) -> Sample:
    if isinstance(spec.data, Blobs):
        return draw_blobs(spec.data, dtype, sources.job_stream)
    if isinstance(spec.data, Builtin):
        return load_builtin(spec.data.name, dtype)
    return load_uploaded(spec.data, sources.find_upload(spec.data.dataset_id), sources.store, dtype)


def prepare(
    spec: LogisticRegressionSpec, sources: Sources, dtype: torch.dtype, device: torch.device, warn: Warn
) -> Prepared:
    """Everything is fitted on the training rows only. Raises PermanentError where the data cannot be used."""
    sample = load_sample(spec, sources, dtype)
    if spec.preprocess.missing == "error" and not isinstance(spec.data, Blobs):
        check_complete(sample)
    train_sample, held_out = sample, None
    if spec.split.validation_fraction > 0:
        training_r, validation_r = split_rows(sample.class_n, sample.classes, spec.split)
        train_sample, held_out = sample.rows(training_r), sample.rows(validation_r)
    standardize = spec.preprocess.standardize
    preprocessing = fit_preprocessing(
        train_sample,
        dtype,
        missing=spec.preprocess.missing,
        standardize=not isinstance(spec.data, Blobs) if standardize is None else standardize,
        centre=spec.model.fit_intercept,
    )
    family = _family(spec, len(sample.classes))
    make = partial(
        _problem,
        preprocessing=preprocessing,
        device=device,
        family=family,
        has_intercept=spec.model.fit_intercept,
    )
    train = make(train_sample)
    if held_out is None:
        return Prepared(train_sample, preprocessing, train, None)
    preprocessing.warn_of_unseen(held_out, warn)
    return Prepared(train_sample, preprocessing, train, make(held_out))


def _family(spec: LogisticRegressionSpec, n_classes: int) -> Family:
    if spec.model.family == "binomial" and n_classes > 2:
        raise PermanentError(f"spec.model.family is binomial, but the target has {n_classes} classes", code="bad_data")
    return Family.BINOMIAL if n_classes == 2 and spec.model.family != "multinomial" else Family.MULTINOMIAL


def _problem(
    sample: Sample, preprocessing: Preprocessing, device: torch.device, *, family: Family, has_intercept: bool
) -> Problem:
    return make_problem(
        preprocessing.transform(sample).to(device),
        sample.class_n.to(device),
        family,
        len(sample.classes),
        has_intercept=has_intercept,
        weight_n=None if sample.weight_n is None else sample.weight_n.to(device),
    )
