"""Gradient descent, Adam and AdamW as torch.optim defines them, with an l1 penalty as a proximal step after the update.

Both follow the smooth part's gradient over all rows, or over the next mini-batch.
"""

import math

import torch
from torch import Tensor

from gradline.training.batches import Batches
from gradline.training.bounds import Gap
from gradline.training.objective import Objective
from gradline.training.schedules import Schedule
from gradline.training.solvers.base import State


class FirstOrder:
    """What the two share: where gradients come from, and that they never claim to have converged."""

    ending = None

    def __init__(
        self,
        objective: Objective,
        theta_bkp: Tensor,
        learning_rate: float,
        schedule: Schedule | None,
        batches: Batches | None,
    ) -> None:
        self.theta_bkp = theta_bkp
        self.n_steps = 0
        self._objective = objective
        self._first_rate = self._learning_rate = learning_rate
        self._schedule = schedule
        self._batches = batches

    @property
    def n_passes(self) -> int:
        """Over all rows, the part of one counted whole."""
        return self.n_steps if self._batches is None else -(-self.n_steps // self._batches.n_per_epoch)

    def is_converged(self, tolerance: float) -> bool:  # noqa: ARG002
        return False

    def gap(self) -> Gap | None:
        return None

    def _next_gradient(self) -> Tensor:
        if self._schedule is not None:
            self._learning_rate = self._first_rate * self._schedule(self.n_steps)
        batch = None if self._batches is None else self._batches.at(self.n_steps)
        self.n_steps += 1
        return self._objective.gradient(self.theta_bkp, batch)


class Sgd(FirstOrder):
    """v <- momentum v + g, theta <- theta - learning_rate v; v starts as the first gradient.

    Nesterov: theta <- theta - learning_rate (g + momentum v). Sutskever et al. 2013, in torch.optim.SGD's form.
    """

    def __init__(
        self,
        objective: Objective,
        theta_bkp: Tensor,
        *,
        learning_rate: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        schedule: Schedule | None = None,
        batches: Batches | None = None,
    ) -> None:
        super().__init__(objective, theta_bkp, learning_rate, schedule, batches)
        self._momentum = theta_bkp.new_tensor(momentum)  # as a tensor: a Python number costs more than the product
        self._has_momentum = momentum > 0
        self._nesterov = nesterov
        self._velocity_bkp: Tensor | None = None

    def step(self) -> None:
        direction_bkp = self._next_gradient()
        if self._has_momentum:
            if self._velocity_bkp is None:
                self._velocity_bkp = direction_bkp.clone()
            else:
                self._velocity_bkp.mul_(self._momentum).add_(direction_bkp)
            if self._nesterov:
                direction_bkp = direction_bkp + self._momentum * self._velocity_bkp
            else:
                direction_bkp = self._velocity_bkp
        self.theta_bkp.add_(direction_bkp, alpha=-self._learning_rate)
        if self._objective.has_l1:
            self._objective.shrink(self.theta_bkp, self._learning_rate)

    def state(self) -> State:
        tensors = {} if self._velocity_bkp is None else {"velocity": self._velocity_bkp.clone()}
        return State(tensors, {"n_steps": self.n_steps})

    def load(self, state: State) -> None:
        self.n_steps = state.numbers["n_steps"]
        self._velocity_bkp = state.tensors.get("velocity")


class Adam(FirstOrder):
    """theta <- theta - learning_rate m̂ / (sqrt(v̂) + epsilon), with bias-corrected running means of g and g².

    Kingma and Ba 2015, in torch.optim.Adam's form. With a weight decay (Loshchilov and Hutter 2019, AdamW) coefficients
    first lose that share of themselves, times the learning rate; the intercept does not.
    """

    def __init__(
        self,
        objective: Objective,
        theta_bkp: Tensor,
        *,
        learning_rate: float,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        schedule: Schedule | None = None,
        batches: Batches | None = None,
    ) -> None:
        super().__init__(objective, theta_bkp, learning_rate, schedule, batches)
        self._beta1, self._beta2 = beta1, beta2
        self._epsilon = epsilon
        self._weight_decay = weight_decay
        self._mean_bkp = torch.zeros_like(theta_bkp)
        self._square_bkp = torch.zeros_like(theta_bkp)

    def step(self) -> None:
        gradient_bkp = self._next_gradient()
        if self._weight_decay:
            self.theta_bkp[:, :, : self._objective.problem.d].mul_(1 - self._learning_rate * self._weight_decay)
        self._mean_bkp.lerp_(gradient_bkp, 1 - self._beta1)
        self._square_bkp.mul_(self._beta2).addcmul_(gradient_bkp, gradient_bkp, value=1 - self._beta2)
        step_size = self._learning_rate / (1 - self._beta1**self.n_steps)
        root_correction = math.sqrt(1 - self._beta2**self.n_steps)
        scale_bkp = self._square_bkp.sqrt().div_(root_correction).add_(self._epsilon)
        self.theta_bkp.addcdiv_(self._mean_bkp, scale_bkp, value=-step_size)
        if self._objective.has_l1:
            d = self._objective.problem.d
            self._objective.shrink(self.theta_bkp, step_size / scale_bkp[:, :, :d])

    def state(self) -> State:
        return State({"mean": self._mean_bkp.clone(), "square": self._square_bkp.clone()}, {"n_steps": self.n_steps})

    def load(self, state: State) -> None:
        self.n_steps = state.numbers["n_steps"]
        self._mean_bkp, self._square_bkp = state.tensors["mean"], state.tensors["square"]
