"""How columns become the matrix that is fitted: fill what is missing, one-hot levels, multiply, standardise.

Everything is learned from the training rows, then done to them and to others.
Shapes: n rows, d features, p = d (+ 1 for the column of ones), k outputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gradline.data.features import Part, Pieces, TextFeatures, names_of, pieces_of
from gradline.data.learning import Warn, learn_parts, shares
from gradline.data.matrix import NO_ROWS, dense_matrix, is_better_sparse, sparse_matrix
from gradline.data.room import Room
from gradline.data.sample import Sample
from gradline.data.scaling import moments, moments_of_sums, scale_in_place
from gradline.errors import PermanentError
from gradline.specs.logistic_regression import Preprocess

FAR = 1e3
"""Deviations from zero. Products of such columns lose six digits of their deviations, from where standard errors come,
to rounding; at 1e5 they have too few left."""


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """What was learned from the training rows."""

    parts: list[Part]
    centre_d: Tensor
    """float64; 0 where nothing is centred."""
    scale_d: Tensor
    """float64; 1 where nothing is scaled."""
    deviation_d: Tensor | None
    """Standard deviations over the training rows, each with its weight, float64; None where nothing asked for them."""
    has_intercept: bool
    is_sparse: bool
    mean_d: Tensor | None
    """float64, weighted as the rows are; None where nothing needed them, so that nobody has found them."""

    @property
    def feature_names(self) -> list[str]:
        return names_of(self.parts)

    @property
    def feature_kinds(self) -> list[str]:
        return [kind for part in self.parts for kind in part.feature_kinds]

    def apply(self, sample: Sample, room: Room) -> Tensor:
        """x_np of other rows, as training sees features."""
        pieces = pieces_of(self.parts, sample)
        x_np = _matrix(pieces, sample, self.has_intercept, room, is_sparse=self.is_sparse)
        scale_in_place(x_np, self.centre_d - _shift_d(pieces, is_sparse=self.is_sparse), self.scale_d, room.let_go)
        return x_np

    def on_own_scale(self, theta_kp: Tensor) -> tuple[Tensor, Tensor]:
        """w_kd and c_k in float64 for the columns as given, from parameters of the features that training saw."""
        theta_kp, d = theta_kp.double(), len(self.scale_d)
        w_kd = theta_kp[:, :d] / self.scale_d
        c_k = theta_kp[:, d] if theta_kp.shape[1] > d else torch.zeros_like(theta_kp[:, 0])
        return w_kd, c_k - w_kd @ self.centre_d

    def rows_on_own_scale(self, x_nd: Tensor) -> Tensor:
        """Rows of features as training saw them, back on the scale of the columns as given; float64."""
        return (x_nd.to_dense() if self.is_sparse else x_nd).double() * self.scale_d + self.centre_d

    def warn_of_unlisted(self, sample: Sample, warn: Warn) -> None:
        """Of levels of held-out rows that training has not seen and that count as the reference."""
        for part in self.parts:
            if not isinstance(part, TextFeatures) or part.unseen != part.levels[0]:
                continue
            if unlisted := part.unlisted(sample.texts[part.name]):
                shown = ", ".join(repr(level) for level in unlisted[:5])
                warn(
                    f"unseen_level:{part.name}",
                    f"column {part.name!r}: {len(unlisted)} levels of the validation rows do not occur in training "
                    f"and count as the reference level {part.levels[0]!r}: {shown}",
                )


def fit_preprocessing(
    sample: Sample,
    policy: Preprocess,
    room: Room,
    *,
    standardize: bool,
    has_intercept: bool,
    warn: Warn,
    is_exact: bool = False,
    keeps_sample: bool = False,
) -> tuple[Preprocessing, Tensor]:
    """From the training rows, and their x_np, which may use up the memory of the sample's numbers unless it is kept.

    Means are subtracted only where an intercept can take them up. Columns far from zero are centred also where they are
    not standardised, if the fit goes to a minimum (`is_exact`), which is the same: products about zero lose their
    deviations to rounding.
    """
    parts = learn_parts(sample, policy, warn)
    names = names_of(parts)
    pieces = pieces_of(parts, sample)
    is_sparse = is_better_sparse(pieces, sample.n) if policy.sparse == "auto" else policy.sparse
    x_np = _matrix(pieces, sample, has_intercept, room, is_sparse=is_sparse, keeps_memory=keeps_sample)
    shift_d = _shift_d(pieces, is_sparse=is_sparse)
    centre_d, scale_d = torch.zeros(len(names), dtype=torch.float64), torch.ones(len(names), dtype=torch.float64)
    takes_centre = has_intercept and not is_sparse
    deviation_d: Tensor | None = None
    told_d: Tensor | None = None
    if standardize or (is_exact and takes_centre):
        found = _known_moments(sample, x_np) or moments(x_np, len(names), shares(sample), room.let_go)
        told_d = found[0] + shift_d
        mean_d, deviation_d = (value_d.to(x_np.dtype).double() for value_d in found)  # what is done is what is told
        if standardize:
            _check_finite(deviation_d, names)
            scale_d = torch.where(deviation_d == 0, 1.0, deviation_d)
            centre_d = mean_d + shift_d if takes_centre else centre_d
        else:
            is_far_d = (deviation_d > 0) & (mean_d.abs() > FAR * deviation_d)
            centre_d = torch.where(is_far_d, mean_d, centre_d)
        if standardize or bool(centre_d.any()):
            scale_in_place(x_np, centre_d - shift_d, scale_d, room.let_go)
    return Preprocessing(parts, centre_d, scale_d, deviation_d, has_intercept, is_sparse, told_d), x_np


def _check_finite(deviation_d: Tensor, names: list[str]) -> None:
    if not bool(deviation_d.isfinite().all()):
        name = names[int((~deviation_d.isfinite()).nonzero()[0])]
        reason = f"the values of {name!r} are so large that their variance is no number; use another unit"
        raise PermanentError(reason, code="bad_data")


def _known_moments(sample: Sample, x_np: Tensor) -> tuple[Tensor, Tensor] | None:
    """Where the numbers were summed as they were read, and are the features as they stand."""
    sum_2j = sample.numbers.sum_2j
    if sum_2j is None or x_np is not sample.numbers.memory or sample.roles.weight_n is not None:
        return None
    return moments_of_sums(sum_2j, sample.n, x_np.dtype) if bool(sum_2j.isfinite().all()) else None


def _matrix(
    pieces: Pieces,
    sample: Sample,
    has_intercept: bool,
    room: Room,
    *,
    is_sparse: bool,
    keeps_memory: bool = False,
) -> Tensor:
    memory = sample.numbers.memory
    if is_sparse:
        return sparse_matrix(pieces, sample.n, memory.dtype, room, has_intercept=has_intercept)
    return dense_matrix(pieces, memory, room, has_intercept=has_intercept, keeps_memory=keeps_memory)


def _shift_d(pieces: Pieces, *, is_sparse: bool) -> Tensor:
    """What the features of a dense matrix lack."""
    made = pieces(NO_ROWS)
    shifts = [0.0 if is_sparse or piece.level_r is not None else piece.shift for piece in made]
    widths = torch.tensor([piece.width for piece in made], dtype=torch.long)
    return torch.tensor(shifts, dtype=torch.float64).repeat_interleave(widths)
