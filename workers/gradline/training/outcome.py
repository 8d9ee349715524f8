"""How a fit can end."""

from enum import StrEnum


class Outcome(StrEnum):
    """Why a fit ended."""

    CONVERGED = "converged"
    """The measure that the solver stops on fell to the tolerance."""
    TARGET_REACHED = "target_reached"
    """A report's accuracy was above the one asked for."""
    STEP_LIMIT = "step_limit"
    """All steps were taken."""
    EARLY_STOPPED = "early_stopped"
    """The validation loss has not fallen for a number of reports."""
    STALLED = "stalled"
    """No step lowers the objective any further at this precision, though the tolerance is not met."""
    DIVERGED = "diverged"
    """The loss is no longer a finite number."""
    SEPARATED = "separated"
    """A combination of the features separates the targets: the objective has no minimum."""
    ILL_CONDITIONED = "ill_conditioned"
    """Stalled, and the Hessian is singular to this precision: some columns are nearly combinations of others."""
