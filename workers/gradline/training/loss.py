"""The loss: mean log loss of the rows and its gradient in closed form.

    L(theta) = sum_n share_n * log_loss(y_n, z_n),     z_n = x_n theta

    binomial     log_loss = log(1 + exp(-t z)), t = 2 y - 1      d log_loss / d z = sigmoid(z) - y
    multinomial  log_loss = log(sum_j exp(z_j)) - z_y            d log_loss / d z = softmax(z) - y

Shares add up to 1. Losses come from the linear predictor, never from rounded probabilities, and are summed in float64.
See McCullagh and Nelder 1989, and Böhning 1992 for the multinomial.

Shapes: b members, n rows, p columns of x, k outputs, m = b * k.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from gradline.training.problem import Problem


class LogLoss(ABC):
    """One pass after another over the same rows, in the same memory: `predict`, then what is wanted of z."""

    def __init__(self, problem: Problem, n_members: int) -> None:
        n, k, p = problem.n, problem.k, problem.x_np.shape[1]
        self._problem = problem
        self._z_nm = problem.x_np.new_empty(n, n_members * k)
        self._z_nbk = self._z_nm.view(n, n_members, k)
        self._z_mn = self._z_nm.T
        self._y_n1k = problem.y_nk.unsqueeze(1)
        self._share_n1 = problem.share_n1
        self._gradient_mp = problem.x_np.new_empty(n_members * k, p)
        self._gradient_bkp = self._gradient_mp.view(n_members, k, p)
        self._theta_bkp: Tensor | None = None
        self._theta_pm = torch.empty(0)

    def predict(self, theta_bkp: Tensor) -> None:
        """Compute z for what follows."""
        if theta_bkp is not self._theta_bkp:  # making the view takes as long as the product of a small problem
            self._theta_bkp, self._theta_pm = theta_bkp, theta_bkp.view(-1, theta_bkp.shape[2]).T
        torch.mm(self._problem.x_np, self._theta_pm, out=self._z_nm)

    def value(self) -> Tensor:
        """L of each member, float64."""
        return (self._losses() * self._share_n1).sum(0, dtype=torch.float64)

    def accuracy(self) -> Tensor:
        """Share of the rows whose class is the predicted one, of each member; float64."""
        if self._problem.weight_n is None:
            return self._is_right().sum(0).double() / self._problem.n
        return (self._is_right() * self._share_n1).sum(0, dtype=torch.float64)

    def gradient(self) -> Tensor:
        """dL / dtheta as [b, k, p], in memory that the next call overwrites. Uses up z."""
        self._subtract_target_from_mean()
        self._z_nm.mul_(self._share_n1)
        torch.mm(self._z_mn, self._problem.x_np, out=self._gradient_mp)
        return self._gradient_bkp

    @abstractmethod
    def _losses(self) -> Tensor:
        """log_loss_nb of each row."""

    @abstractmethod
    def _is_right(self) -> Tensor:
        """Whether each row's class is the predicted one, [n, b]."""

    @abstractmethod
    def _subtract_target_from_mean(self) -> None:
        """Turn z into d log_loss / d z."""


class BinomialLogLoss(LogLoss):
    def __init__(self, problem: Problem, n_members: int) -> None:
        super().__init__(problem, n_members)
        self._sign_n1 = problem.y_nk * 2 - 1
        self._is_one_n1 = problem.y_nk == 1

    def _losses(self) -> Tensor:
        return -logsigmoid(self._z_nm * self._sign_n1)

    def _is_right(self) -> Tensor:
        return (self._z_nm >= 0) == self._is_one_n1

    def _subtract_target_from_mean(self) -> None:
        self._z_nm.sigmoid_().sub_(self._problem.y_nk)


class MultinomialLogLoss(LogLoss):
    def _losses(self) -> Tensor:
        return torch.logsumexp(self._z_nbk, 2) - (self._z_nbk * self._y_n1k).sum(2)

    def _is_right(self) -> Tensor:
        return self._z_nbk.argmax(2) == self._problem.class_n.unsqueeze(1)

    def _subtract_target_from_mean(self) -> None:
        torch.softmax(self._z_nbk, 2, out=self._z_nbk)
        self._z_nbk.sub_(self._y_n1k)


def make_loss(problem: Problem, n_members: int) -> LogLoss:
    return (BinomialLogLoss if problem.k == 1 else MultinomialLogLoss)(problem, n_members)
