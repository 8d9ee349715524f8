"""What a solver is: it takes steps from one theta to a better one, and can be written down and taken up again."""

from typing import Any, NamedTuple, Protocol

from torch import Tensor

from gradline.training.bounds import Gap
from gradline.training.outcome import Outcome


class State(NamedTuple):
    """Everything a solver needs to go on with the same bits."""

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]
    """JSON; floating point numbers whose bits matter stand among the tensors."""


class Solver(Protocol):
    """Changes `theta_bkp` in place, one step at a time."""

    theta_bkp: Tensor

    @property
    def n_passes(self) -> int:
        """Over all rows, so far."""

    def is_converged(self, tolerance: float) -> bool:
        """Whether theta, as it stands before the next step, is a minimum to this tolerance in every member."""

    @property
    def ending(self) -> Outcome | None:
        """Why no further step will help, once that is so."""

    def gap(self) -> Gap | None:
        """How far theta is from the minimum at most; None for solvers that do not know."""

    def step(self) -> None:
        """One update of theta."""

    def state(self) -> State:
        """A copy, theta apart."""

    def load(self, state: State) -> None:
        """Take up what `state` gave."""
