"""What each column adds to a row's linear predictor: the Shapley values of a linear model for independent columns
(Lundberg and Lee 2017, Corollary 1), coefficient times what the value is above its mean over the training rows.

Features of one column count together: its levels, and the indicator of its missing values. An interaction is a term of
its own, and so is the offset, which has no mean to be told from.

Shapes: n rows, k outputs, t terms.
"""

from typing import NamedTuple

import numpy as np

from gradline.scoring import Encoded, Numbers, RowFault, RowsRefused, Scorecard

STORED_EARLIER = "the model was stored before the means of its features were kept; resubmit its job"
NOT_FOUND = (
    "training did not find the means of the features, since it neither standardised nor centred them; set "
    "preprocess.standardize"
)


class Contributions(NamedTuple):
    """`base_k` plus the contributions of a row is its linear predictor, to rounding."""

    terms: list[str]
    """In the order of the features; `age:city` for an interaction, and last the offset's column where there is one."""
    base_k: Numbers
    """The mean linear predictor of the training rows, without the offset."""
    value_nkt: Numbers


def terms_of(card: Scorecard) -> list[str]:
    """Of a model's contributions. Raises RowsRefused where the model does not know the means of its features."""
    if card.document.get("means") is None:
        reason = NOT_FOUND if "means" in card.document else STORED_EARLIER
        raise RowsRefused([RowFault("contributions", value=True, reason=reason)])
    return _own_terms(card) if card.offset is None else [*_own_terms(card), card.offset.column]


def _own_terms(card: Scorecard) -> list[str]:
    """Of the features, which add up to each."""
    return list(dict.fromkeys(feature.term for feature in card.features))


def contributions(card: Scorecard, rows: Encoded) -> Contributions:
    """Raises RowsRefused as `terms_of` does."""
    terms, place = terms_of(card), {term: t for t, term in enumerate(_own_terms(card))}
    value_nkt = np.zeros((len(rows.atoms_nj), len(card.intercepts_k), len(terms)))
    mean_kt = np.zeros(value_nkt.shape[1:])
    for feature, mean in zip(card.features, card.document["means"], strict=True):
        w_k, t = np.array(feature.coefficients), place[feature.term]
        mean_kt[:, t] += w_k * mean
        if feature.is_atom:
            value_nkt[:, :, t] += rows.atoms_nj[:, [feature.atoms[0]]] * w_k
    for table in card.tables:
        value_nkt[:, :, place[table.term]] += table.add(rows)
    value_nkt -= mean_kt
    if rows.offset_n is not None:
        value_nkt[:, :, -1] = rows.offset_n[:, None]
    return Contributions(terms, card.intercepts_k + mean_kt.sum(1), value_nkt)
