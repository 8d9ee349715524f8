"""Early stopping: each member's best report on the validation rows, and how many reports ago it was.

Shapes: b members, k outputs, p columns of x.
"""

import torch
from torch import Tensor


class Patience:
    """A member whose patience is spent stays as it is, so that it ends where it would have alone."""

    def __init__(self, n_reports: int, theta_bkp: Tensor) -> None:
        """`theta_bkp`: any of the fit's, for its shape."""
        members = len(theta_bkp)
        self.step_b = torch.full((members,), -1, device=theta_bkp.device)
        """Of the best report; -1 before one whose loss is finite."""
        self.theta_bkp = theta_bkp.clone()
        """What it is of; means nothing where there is none."""
        self._n_reports = n_reports
        self._loss_b = torch.full((members,), torch.inf, dtype=torch.float64, device=theta_bkp.device)
        self._n_stale_b = torch.zeros_like(self.step_b)

    @property
    def is_spent(self) -> bool:
        return bool(self._is_spent_b.all())

    @property
    def _is_spent_b(self) -> Tensor:
        return self._n_stale_b >= self._n_reports

    def look(self, step: int, loss_b: Tensor, theta_bkp: Tensor) -> None:
        """At the report of a step: `loss_b` is what should fall, on the validation rows."""
        is_better_b = (loss_b < self._loss_b) & ~self._is_spent_b
        self._loss_b = torch.where(is_better_b, loss_b.double(), self._loss_b)
        self.step_b = self.step_b.masked_fill(is_better_b, step)
        self.theta_bkp = torch.where(is_better_b.view(-1, 1, 1), theta_bkp, self.theta_bkp)
        self._n_stale_b = (self._n_stale_b + 1).masked_fill(is_better_b, 0)

    def state(self) -> dict[str, Tensor]:
        """None of these is ever changed in place."""
        return {"loss": self._loss_b, "step": self.step_b, "theta": self.theta_bkp, "n_stale": self._n_stale_b}

    def load(self, tensors: dict[str, Tensor]) -> None:
        self._loss_b, self.step_b = tensors["loss"], tensors["step"]
        self.theta_bkp, self._n_stale_b = tensors["theta"], tensors["n_stale"]
