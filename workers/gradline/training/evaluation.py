"""How well probabilities fit rows, weighted: the usual measures of classification, in float64.

Shapes: n rows, c classes (two for binomial).
"""

import torch
from torch import Tensor


def brier_score(probability_nc: Tensor, class_n: Tensor, share_n: Tensor) -> float:
    """Mean squared error of the probabilities (Brier 1950): of class 1 for two classes, else summed over classes."""
    if probability_nc.shape[1] == 2:
        return float((share_n * (probability_nc[:, 1] - class_n).square()).sum())
    error_nc = probability_nc.clone()
    error_nc.scatter_add_(1, class_n.unsqueeze(1), torch.full_like(probability_nc[:, :1], -1.0))
    return float((share_n * error_nc.square().sum(1)).sum())


def roc_auc(score_n: Tensor, is_positive_n: Tensor, share_n: Tensor) -> float | None:
    """Chance that a positive row scores above a negative one, ties counting half; None without both classes."""
    _, rank_n = torch.unique(score_n, return_inverse=True)
    n_ranks = int(rank_n.max()) + 1
    positive_r = share_n.new_zeros(n_ranks).index_add_(0, rank_n, share_n * is_positive_n)
    negative_r = share_n.new_zeros(n_ranks).index_add_(0, rank_n, share_n * ~is_positive_n)
    pairs = float(positive_r.sum() * negative_r.sum())
    if pairs == 0:
        return None
    below_r = negative_r.cumsum(0) - negative_r
    return float((positive_r * (below_r + negative_r / 2)).sum()) / pairs


def confusion_matrix(predicted_n: Tensor, class_n: Tensor, n_classes: int, share_n: Tensor | None = None) -> Tensor:
    """[true class, predicted class]: rows counted, or their shares added up."""
    cell_n = class_n * n_classes + predicted_n
    return torch.bincount(cell_n, weights=share_n, minlength=n_classes**2).view(n_classes, n_classes)


def balanced_accuracy(confusion_cc: Tensor) -> float:
    """Mean over the classes that occur of the share of their rows that is right."""
    total_c = confusion_cc.sum(1)
    occurs_c = total_c > 0
    return float((confusion_cc.diagonal()[occurs_c] / total_c[occurs_c]).double().mean())


def f1_score(confusion_cc: Tensor) -> float:
    """Harmonic mean of precision and recall: of class 1 for two classes, the mean over classes for more."""
    right_c, all_c = confusion_cc.diagonal().double(), (confusion_cc.sum(0) + confusion_cc.sum(1)).double()
    f1_c = torch.where(all_c > 0, 2 * right_c / all_c, 0.0)
    return float(f1_c[1] if len(f1_c) == 2 else f1_c.mean())
