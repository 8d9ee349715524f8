"""The loss and the objective: mean log loss plus penalty, with gradients in closed form.

    F(w, c) = sum_n share_n * log_loss(y_n, z_n)  +  l1 * |w|_1  +  l2 / 2 * |w|_2^2,     z_n = x_n w + c

    binomial     log_loss = log(1 + exp(-t z)), t = 2 y - 1      d log_loss / d z = sigmoid(z) - y
    multinomial  log_loss = log(sum_j exp(z_j)) - z_y            d log_loss / d z = softmax(z) - y

Shares add up to 1; intercepts are not penalised. Losses are computed from the linear predictor, never from rounded
probabilities, and summed in float64. See McCullagh and Nelder 1989, and Böhning 1992 for the multinomial.

Shapes: b members, n rows, d features, k outputs, p = d (+ 1 for the intercept), m = b * k.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from gradline.training.model import linear_predictor
from gradline.training.problem import Problem


class Fitness(NamedTuple):
    """How well parameters fit, for each member; float64."""

    log_loss_b: Tensor
    accuracy_b: Tensor
    penalty_b: Tensor


class Objective:
    """F for one problem and b members that share its rows, each with its own penalty."""

    def __init__(
        self, problem: Problem, l1: float | Tensor = 0.0, l2: float | Tensor = 0.0, *, n_members: int = 1
    ) -> None:
        self.problem = problem
        self.n_members = n_members
        like = problem.x_nd
        self.l1_b11 = torch.as_tensor(l1, dtype=like.dtype, device=like.device).expand(n_members).view(-1, 1, 1)
        self.l2_b11 = torch.as_tensor(l2, dtype=like.dtype, device=like.device).expand(n_members).view(-1, 1, 1)
        self.has_l1 = bool((self.l1_b11 > 0).any())
        self.has_l2 = bool((self.l2_b11 > 0).any())
        self.rounding = torch.finfo(like.dtype).eps ** 0.75
        """Relative size of differences between values that mean nothing: 2e-12 in float64, 6e-6 in float32."""
        self._buffers = _Buffers(problem, n_members)

    # --- the smooth part: log loss + l2

    def gradient(self, theta_bkp: Tensor, batch: Problem | None = None) -> Tensor:
        """Of the smooth part, over all rows or those of a batch. The tensor is overwritten by the next call."""
        problem, buffers = (self.problem, self._buffers) if batch is None else (batch, _Buffers(batch, self.n_members))
        linear_predictor(problem.x_nd, theta_bkp, out_nm=buffers.z_nm)
        return self._gradient_at_z(theta_bkp, problem, buffers)

    def smooth_value_and_gradient(self, theta_bkp: Tensor) -> tuple[Tensor, Tensor]:
        """value_b in float64 and the gradient, from one pass."""
        buffers = self._buffers
        linear_predictor(self.problem.x_nd, theta_bkp, out_nm=buffers.z_nm)
        value_b = self._log_loss_at_z(buffers)
        if self.has_l2:
            value_b += self._l2_term(theta_bkp)
        return value_b, self._gradient_at_z(theta_bkp, self.problem, buffers)

    def smooth_value(self, theta_bkp: Tensor) -> Tensor:
        """value_b in float64."""
        linear_predictor(self.problem.x_nd, theta_bkp, out_nm=self._buffers.z_nm)
        value_b = self._log_loss_at_z(self._buffers)
        return value_b + self._l2_term(theta_bkp) if self.has_l2 else value_b

    def _gradient_at_z(self, theta_bkp: Tensor, problem: Problem, buffers: "_Buffers") -> Tensor:
        """Turns the linear predictor in the buffer into the residual on the way."""
        z_nm, gradient_bkp, d = buffers.z_nm, buffers.gradient_bkp(theta_bkp), problem.d
        if problem.k == 1:
            z_nm.sigmoid_()
        else:
            torch.softmax(buffers.z_nbk, 2, out=buffers.z_nbk)
        residual_nm = z_nm
        buffers.z_nbk.sub_(buffers.y_n1k)
        residual_nm.mul_(problem.share_n1)
        gradient_mp = buffers.gradient_mp
        torch.mm(residual_nm.T, problem.x_nd, out=gradient_mp[:, :d])
        if gradient_mp.shape[1] > d:
            torch.sum(residual_nm, 0, out=gradient_mp[:, d])
        if self.has_l2:
            gradient_bkp[:, :, :d].addcmul_(theta_bkp[:, :, :d], self.l2_b11)
        return gradient_bkp

    def _log_loss_at_z(self, buffers: "_Buffers") -> Tensor:
        problem = self.problem
        if problem.k == 1:
            loss_nb = -logsigmoid(buffers.z_nm * buffers.sign_n1)
        else:
            loss_nb = torch.logsumexp(buffers.z_nbk, 2) - (buffers.z_nbk * buffers.y_n1k).sum(2)
        return (loss_nb * problem.share_n1).sum(0, dtype=torch.float64)

    # --- the penalty

    def _l2_term(self, theta_bkp: Tensor) -> Tensor:
        w_bkd = theta_bkp[:, :, : self.problem.d]
        return (w_bkd.square() * (self.l2_b11 / 2)).sum((1, 2), dtype=torch.float64)

    def penalty(self, theta_bkp: Tensor) -> Tensor:
        """l1 * |w|_1 + l2 / 2 * |w|_2^2 of each member, in float64."""
        w_bkd = theta_bkp[:, :, : self.problem.d]
        return self._l2_term(theta_bkp) + (w_bkd.abs() * self.l1_b11).sum((1, 2), dtype=torch.float64)

    def shrink(self, theta_bkp: Tensor, step_size: float | Tensor) -> None:
        """In place: the proximal operator of step_size * l1 * |w|_1, soft thresholding."""
        w_bkd = theta_bkp[:, :, : self.problem.d]
        threshold = self.l1_b11 * step_size
        w_bkd.copy_(w_bkd.sign() * (w_bkd.abs() - threshold).clamp_(min=0.0))

    # --- judging parameters

    def fitness(self, theta_bkp: Tensor) -> Fitness:
        """Log loss, accuracy and penalty over all rows."""
        buffers, problem = self._buffers, self.problem
        linear_predictor(problem.x_nd, theta_bkp, out_nm=buffers.z_nm)
        log_loss_b = self._log_loss_at_z(buffers)
        if problem.k == 1:
            right_nb = (buffers.z_nm >= 0) == buffers.is_one_n1
        else:
            right_nb = buffers.z_nbk.argmax(2) == problem.class_n.unsqueeze(1)
        if problem.weight_n is None:
            accuracy_b = right_nb.sum(0).double() / problem.n
        else:
            accuracy_b = (right_nb * problem.share_n1).sum(0, dtype=torch.float64)
        return Fitness(
            log_loss_b, accuracy_b, self.penalty(theta_bkp) if self.has_l1 or self.has_l2 else log_loss_b * 0
        )

    def stationarity(self, theta_bkp: Tensor, smooth_gradient_bkp: Tensor | None = None) -> Tensor:
        """For each member the largest absolute entry of the smallest subgradient of F: 0 at a minimum."""
        gradient_bkp = self.gradient(theta_bkp) if smooth_gradient_bkp is None else smooth_gradient_bkp
        if self.has_l1:
            d = self.problem.d
            w_bkd, g_bkd = theta_bkp[:, :, :d], gradient_bkp[:, :, :d]
            at_zero_bkd = (g_bkd.abs() - self.l1_b11).clamp_(min=0.0)
            elsewhere_bkd = (g_bkd + w_bkd.sign() * self.l1_b11).abs_()
            gradient_bkp = gradient_bkp.clone()
            gradient_bkp[:, :, :d] = torch.where(w_bkd == 0, at_zero_bkd, elsewhere_bkd)
        return gradient_bkp.abs().amax((1, 2))


class _Buffers:
    """Memory that every pass over the same rows uses again."""

    def __init__(self, problem: Problem, n_members: int) -> None:
        n, k, like = problem.n, problem.k, problem.x_nd
        self.z_nm = like.new_empty(n, n_members * k)
        self.z_nbk = self.z_nm.view(n, n_members, k)
        self.y_n1k = problem.y_nk.unsqueeze(1)
        if k == 1:
            self.sign_n1 = problem.y_nk * 2 - 1
            self.is_one_n1 = problem.y_nk == 1
        self.gradient_mp = like.new_empty(0, 0)

    def gradient_bkp(self, theta_bkp: Tensor) -> Tensor:
        b, k, p = theta_bkp.shape
        if self.gradient_mp.shape != (b * k, p):
            self.gradient_mp = theta_bkp.new_empty(b * k, p)
            self._gradient_bkp = self.gradient_mp.view(b, k, p)
        return self._gradient_bkp
