"""The loss: mean over rows of half the unit deviance, with its first two derivatives in closed form.

    L(theta) = sum_n share_n * loss(y_n, z_n),     z_n = x_n theta + offset_n

The families and their formulas stand in `family`. Shares add up to 1. Losses come from the linear predictor, never from
rounded probabilities, and are summed in float64. For the multinomial Hessian see Böhning 1992.

Shapes: b members, n rows, p columns of x, k outputs, m = b * k, q = k * p.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from gradline.training.family import Family
from gradline.training.problem import Problem


class Loss(ABC):
    """One pass after another over the same rows, in the same memory: `predict`, then what is wanted of z."""

    def __init__(self, problem: Problem, n_members: int) -> None:
        n, k, p = problem.n, problem.k, problem.x_np.shape[1]
        self._problem = problem
        self._n_members = n_members
        self._z_nm = problem.x_np.new_empty(n, n_members * k)
        self._z_nbk = self._z_nm.view(n, n_members, k)
        self._z_mn = self._z_nm.T
        self._y_n1k = problem.y_nk.unsqueeze(1)
        self._share_nb = problem.share_nb
        self._gradient_mp = problem.x_np.new_empty(n_members * k, p)
        self._gradient_bkp = self._gradient_mp.view(n_members, k, p)
        self._theta_bkp: Tensor | None = None
        self._theta_pm = torch.empty(0)

    def predict(self, theta_bkp: Tensor) -> None:
        """Compute z for what follows."""
        if theta_bkp is not self._theta_bkp:  # making the view takes as long as the product of a small problem
            self._theta_bkp, self._theta_pm = theta_bkp, theta_bkp.view(-1, theta_bkp.shape[2]).T
        torch.mm(self._problem.x_np, self._theta_pm, out=self._z_nm)
        if self._problem.offset_n1 is not None:
            self._z_nm.add_(self._problem.offset_n1)

    def value(self) -> Tensor:
        """L of each member, float64."""
        return (self._losses() * self._share_nb).sum(0, dtype=torch.float64)

    def accuracy(self) -> Tensor | None:
        """Share of the rows whose class is the predicted one, of each member; float64. None without classes."""
        if not self._problem.family.is_classification:
            return None
        if self._problem.weight_nb is None:
            return self._is_right().sum(0).double() / self._problem.n
        return (self._is_right() * self._share_nb).sum(0, dtype=torch.float64)

    def gradient(self) -> Tensor:
        """dL / dtheta as [b, k, p], in memory that the next call overwrites. Uses up z."""
        self._to_residual()
        self._weigh()
        torch.mm(self._z_mn, self._problem.x_np, out=self._gradient_mp)
        return self._gradient_bkp

    def curvature(self) -> Tensor:
        """share_n * d2 loss / dz2 of each row as [n, b, k, k]."""
        return self._second_derivative() * self._share_nb.unsqueeze(2).unsqueeze(3)

    def hessian(self) -> Tensor:
        """d2L / dtheta2 as [b, q, q] in float64: in chunks of rows, whose products are summed in float64."""
        x_np, c_nbkk = self._problem.x_np, self.curvature()
        k, p = self._problem.k, x_np.shape[1]
        hessian_bkpkp = x_np.new_zeros(self._n_members, k, p, k, p, dtype=torch.float64)
        for x_rp, c_rbkk in zip(x_np.split(_CHUNK_ROWS), c_nbkk.split(_CHUNK_ROWS), strict=True):
            for b in range(self._n_members):
                for i in range(k):
                    for j in range(i, k):
                        hessian_bkpkp[b, i, :, j, :] += (x_rp * c_rbkk[:, b, i, j].unsqueeze(1)).T @ x_rp
        for i in range(k):
            for j in range(i):
                hessian_bkpkp[:, i, :, j, :] = hessian_bkpkp[:, j, :, i, :].transpose(1, 2)
        return hessian_bkpkp.view(self._n_members, k * p, k * p)

    def _weigh(self) -> None:
        """Multiply z by the shares of the rows: the same for all of a member's outputs."""
        if self._share_nb.shape[1] == 1:
            self._z_nm.mul_(self._share_nb)
        else:
            self._z_nbk.mul_(self._share_nb.unsqueeze(2))

    @abstractmethod
    def _losses(self) -> Tensor:
        """loss_nb of each row."""

    def _is_right(self) -> Tensor:
        """Whether each row's class is the predicted one, [n, b]."""
        raise NotImplementedError(f"{self._problem.family} has no classes")

    @abstractmethod
    def _to_residual(self) -> None:
        """Turn z into d loss / d z, mean minus target."""

    @abstractmethod
    def _second_derivative(self) -> Tensor:
        """d2 loss / dz2 of each row as [n, b, k, k]; z stays."""


_CHUNK_ROWS = 65_536


class BinomialLoss(Loss):
    def __init__(self, problem: Problem, n_members: int) -> None:
        super().__init__(problem, n_members)
        self._sign_n1 = problem.y_nk * 2 - 1
        self._is_one_n1 = problem.y_nk == 1

    def _losses(self) -> Tensor:
        return -logsigmoid(self._z_nm * self._sign_n1)

    def _is_right(self) -> Tensor:
        return (self._z_nm >= 0) == self._is_one_n1

    def _to_residual(self) -> None:
        self._z_nm.sigmoid_().sub_(self._problem.y_nk)

    def _second_derivative(self) -> Tensor:
        mean_nm = torch.sigmoid(self._z_nm)
        return (mean_nm * torch.sigmoid(-self._z_nm)).unsqueeze(2).unsqueeze(3)


class MultinomialLoss(Loss):
    def _losses(self) -> Tensor:
        return torch.logsumexp(self._z_nbk, 2) - (self._z_nbk * self._y_n1k).sum(2)

    def _is_right(self) -> Tensor:
        return self._z_nbk.argmax(2) == self._problem.class_n.unsqueeze(1)

    def _to_residual(self) -> None:
        torch.softmax(self._z_nbk, 2, out=self._z_nbk)
        self._z_nbk.sub_(self._y_n1k)

    def _second_derivative(self) -> Tensor:
        mean_nbk = torch.softmax(self._z_nbk, 2)
        return torch.diag_embed(mean_nbk) - mean_nbk.unsqueeze(3) * mean_nbk.unsqueeze(2)


class GaussianLoss(Loss):
    def _losses(self) -> Tensor:
        return (self._z_nm - self._problem.y_nk).square() / 2

    def _to_residual(self) -> None:
        self._z_nm.sub_(self._problem.y_nk)

    def _second_derivative(self) -> Tensor:
        return torch.ones_like(self._z_nm).unsqueeze(2).unsqueeze(3)


class PoissonLoss(Loss):
    def __init__(self, problem: Problem, n_members: int) -> None:
        super().__init__(problem, n_members)
        self._saturated_n1 = torch.xlogy(problem.y_nk, problem.y_nk) - problem.y_nk

    def _losses(self) -> Tensor:
        return self._z_nm.exp() - self._z_nm * self._problem.y_nk + self._saturated_n1

    def _to_residual(self) -> None:
        self._z_nm.exp_().sub_(self._problem.y_nk)

    def _second_derivative(self) -> Tensor:
        return self._z_nm.exp().unsqueeze(2).unsqueeze(3)


_LOSSES: dict[Family, type[Loss]] = {
    Family.BINOMIAL: BinomialLoss,
    Family.MULTINOMIAL: MultinomialLoss,
    Family.GAUSSIAN: GaussianLoss,
    Family.POISSON: PoissonLoss,
}


def make_loss(problem: Problem, n_members: int) -> Loss:
    return _LOSSES[problem.family](problem, n_members)
