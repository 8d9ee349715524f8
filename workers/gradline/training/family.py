"""The families: which distribution the target has given the linear predictor z, and the canonical link between them.

The loss of a row is half its unit deviance (McCullagh and Nelder 1989, section 2.3): never negative, and 0 only where
the prediction is the target.

    family        target            mean          loss of a row                     d2 loss / d z2
    binomial      class 0 or 1      sigmoid(z)    log(1 + exp(-t z)), t = 2 y - 1   mean (1 - mean)
    multinomial   one of k classes  softmax(z)    log(sum_j exp(z_j)) - z_y         diag(mean) - mean mean'
    gaussian      a number          z             (z - y)^2 / 2                     1
    poisson       a number, >= 0    exp(z)        exp(z) - y z + y log(y) - y       mean

and d loss / d z = mean - y for all of them.
"""

from enum import StrEnum


class Family(StrEnum):
    """Each with its canonical link, so that the gradient is always x' (mean - y)."""

    BINOMIAL = "binomial"
    """Two classes; the log odds are linear."""
    MULTINOMIAL = "multinomial"
    """One of k classes; one linear predictor a class."""
    GAUSSIAN = "gaussian"
    """A number with constant variance; log-linear regression is this family for the logarithm of the target."""
    POISSON = "poisson"
    """A count or a rate; the logarithm of the mean is linear."""

    @property
    def is_classification(self) -> bool:
        return self in (Family.BINOMIAL, Family.MULTINOMIAL)
