"""Measures of probabilities and of the classes predicted from them.

Shapes: n rows, c classes (two for binomial), r weightings of the rows, h bins.
"""

from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from gradline.evaluation.ranking import MEASURES, added_up, rank

N_BINS = 10
"""Of equal width, for the expected calibration error."""
RANKED_CLASSES = 50
"""With more classes than this it is left out how well scores rank the rows of each."""


class Predicted(NamedTuple):
    """What is said of rows."""

    probability_nc: Tensor
    loss_n: Tensor
    """-log of the probability of the row's own class, taken from the linear predictor."""
    predicted_n: Tensor
    score_nc: Tensor
    """What rows are ranked by: it rises with the probability of the class, and goes on rising where that is rounded."""


Ranked = dict[str, Tensor]
"""The measures of `ranking` of each class that is ranked against the rest, [r, shown classes]."""


class Measured(NamedTuple):
    overall: dict[str, Tensor]
    """[r]; of two classes the second is the positive one; for more, precision, recall, F1 and the measures of `ranking`
    are means over the classes that occur."""
    by_class: dict[str, Tensor]
    """[r, c]; the measures of `ranking` of two classes are those of the second."""


class Sums(NamedTuple):
    """Over rows, under each weighting; those of parts of the rows add up. Nothing is divided before all are added: a
    measure of whole counts is their quotient, rounded once."""

    weight_r: Tensor
    loss_r: Tensor
    brier_r: Tensor
    confusion_rcc: Tensor
    error_hr: Tensor
    """What came less what was promised, in each bin."""


def measures(said: Predicted, class_n: Tensor, weight_nr: Tensor) -> Measured:
    """Each measure under each weighting."""
    shown = ranked_classes(said.score_nc.shape[1])
    rankings = [rank(said.score_nc[:, c], class_n == c, weight_nr) for c in shown]
    ranked = {name: torch.stack([measure(r) for r in rankings], 1) for name, measure in MEASURES.items() if rankings}
    return measured([sums(said, class_n, weight_nr)], ranked)


def ranked_classes(n_classes: int) -> range:
    """Each is ranked against the rest: of two only the second, of very many none."""
    return range(0) if n_classes > RANKED_CLASSES else range(1, 2) if n_classes == 2 else range(n_classes)


def sums(said: Predicted, class_n: Tensor, weight_nr: Tensor) -> Sums:
    """Of some rows."""
    probability_nc, predicted_n = said.probability_nc, said.predicted_n
    return Sums(
        weight_nr.sum(0),
        said.loss_n @ weight_nr,
        brier_sum(probability_nc, class_n, weight_nr),
        confusion(predicted_n, class_n, weight_nr, probability_nc.shape[1]),
        calibration_errors(probability_nc, predicted_n, class_n, weight_nr),
    )


def sums_of_two(z_n: Tensor, y_n: Tensor, weight_n1: Tensor, boundary: float) -> Sums:
    """The same of two classes from linear predictors, by a compiled kernel."""
    from gradline.evaluation import kernel  # noqa: PLC0415  half a second; few rows do without

    total_3, error_h = torch.zeros(3, dtype=torch.float64), torch.zeros(N_BINS, dtype=torch.float64)
    confusion_22 = torch.zeros(2, 2, dtype=torch.float64)
    rows = (z_n.contiguous(), y_n.to(z_n).contiguous(), weight_n1[:, 0].contiguous())
    found = (total_3, confusion_22, error_h)
    kernel.add_up(*(tensor.numpy() for tensor in rows), boundary, *(tensor.numpy() for tensor in found))
    weight_1, loss_1, brier_1 = total_3.split(1)
    return Sums(weight_1, loss_1, brier_1, confusion_22.unsqueeze(0), error_h.unsqueeze(1))


def measured(parts: Iterable[Sums], ranked: Ranked) -> Measured:
    """From the sums of all parts of the rows."""
    total = reduce(_added, parts)
    confusion_rcc = total.confusion_rcc
    each = dict(zip(("precision", "recall", "f1"), by_class(confusion_rcc), strict=True)) | ranked
    occurs_rc = confusion_rcc.sum(2) > 0
    right_r, wrong_r = _diagonal(confusion_rcc).sum(1), (confusion_rcc.tril(-1) + confusion_rcc.triu(1)).sum((1, 2))
    overall = {
        "log_loss": total.loss_r / total.weight_r,
        "accuracy": right_r / (right_r + wrong_r),  # 1 where none is wrong, also for weights whose sums are rounded
        "balanced_accuracy": _mean_over(each["recall"], occurs_rc),
        **{name: _one_or_mean(value_rc, occurs_rc) for name, value_rc in each.items()},
        "mcc": mcc(confusion_rcc),
        "brier": total.brier_r / total.weight_r,
        "calibration_error": total.error_hr.abs().sum(0) / total.weight_r,
    }
    return Measured(overall, each)


def _added(total: Sums, part: Sums) -> Sums:
    return Sums(*(a + b for a, b in zip(total, part, strict=True)))


def confusion(predicted_n: Tensor, class_n: Tensor, weight_nr: Tensor, n_classes: int) -> Tensor:
    """Weights added up, [r, true class, predicted class]."""
    cells_er = added_up(class_n * n_classes + predicted_n, weight_nr, n_classes**2)
    return cells_er.T.reshape(-1, n_classes, n_classes)


def by_class(confusion_rcc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Precision, recall and F1 of each class, [r, c]; 0 where a class is never predicted or does not occur."""
    right_rc = _diagonal(confusion_rcc)
    called_rc, own_rc = confusion_rcc.sum(1), confusion_rcc.sum(2)
    return _share(right_rc, called_rc), _share(right_rc, own_rc), _share(2 * right_rc, called_rc + own_rc)


def mcc(confusion_rcc: Tensor) -> Tensor:
    """Matthews correlation coefficient of the predicted and the true classes (Gorodkin 2004 for more than two), [r];
    0 where all rows are of one class, or predicted to be.

        sum_c (t_c u_c - f_c m_c) / sqrt(sum_c called_c (n - called_c) sum_c own_c (n - own_c))

    Each class against the rest has t_c rows that are called it rightly and f_c wrongly, m_c that are missed, and u_c of
    others that are called others.
    """
    right_rc, called_rc, own_rc = _diagonal(confusion_rcc), confusion_rcc.sum(1), confusion_rcc.sum(2)
    rest_cc = 1 - torch.eye(confusion_rcc.shape[1], dtype=confusion_rcc.dtype)
    not_called_rc, not_own_rc = called_rc @ rest_cc, own_rc @ rest_cc
    missed_rc = own_rc - right_rc
    together_r = (right_rc * (not_called_rc - missed_rc) - (called_rc - right_rc) * missed_rc).sum(1)
    apart_r = (called_rc * not_called_rc).sum(1) * (own_rc * not_own_rc).sum(1)
    return _share(together_r, apart_r.sqrt())


def brier_sum(probability_nc: Tensor, class_n: Tensor, weight_nr: Tensor) -> Tensor:
    """Of the Brier score (Brier 1950), the mean squared error of the probabilities: the sum of squared errors, of
    class 1 for two classes, else of all classes."""
    if probability_nc.shape[1] == 2:
        return (probability_nc[:, 1] - class_n).square() @ weight_nr
    own_n1 = probability_nc.gather(1, class_n.unsqueeze(1))
    # sum_c p_c^2 with (p_own - 1)^2 in place of p_own^2
    return (probability_nc.square().sum(1, keepdim=True) + 1 - 2 * own_n1)[:, 0] @ weight_nr


def calibration_errors(probability_nc: Tensor, predicted_n: Tensor, class_n: Tensor, weight_nr: Tensor) -> Tensor:
    """Of the expected calibration error (Naeini et al. 2015), the mean distance, in bins of equal width, between what
    was promised and what came: the distance in each bin, [h, r]. Two classes: the probability of class 1. More: that of
    the predicted class."""
    if probability_nc.shape[1] == 2:
        promised_n, came_n = probability_nc[:, 1], (class_n == 1).double()
    else:
        promised_n = probability_nc.gather(1, predicted_n.unsqueeze(1)).squeeze(1)
        came_n = (predicted_n == class_n).double()
    bin_n = (promised_n * N_BINS).long().clamp_(max=N_BINS - 1)
    return added_up(bin_n, weight_nr * (came_n - promised_n).unsqueeze(1), N_BINS)


def _diagonal(confusion_rcc: Tensor) -> Tensor:
    return confusion_rcc.diagonal(dim1=1, dim2=2)


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / whole, 0.0)


def _mean_over(value_rc: Tensor, occurs_rc: Tensor) -> Tensor:
    return torch.where(occurs_rc, value_rc, 0.0).sum(1) / occurs_rc.sum(1)


def _one_or_mean(value_rc: Tensor, occurs_rc: Tensor) -> Tensor:
    """Of the positive class; of three classes or more the mean over those that occur."""
    if value_rc.shape[1] == 1 or occurs_rc.shape[1] == 2:
        return value_rc[:, -1]
    return _mean_over(value_rc, occurs_rc)
