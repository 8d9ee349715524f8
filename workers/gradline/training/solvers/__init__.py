"""The solvers: each minimises an Objective from a first theta, one step at a time."""

from gradline.training.solvers.active_newton import ActiveNewton
from gradline.training.solvers.base import Solver, State
from gradline.training.solvers.first_order import Adam, Sgd
from gradline.training.solvers.fista import Fista
from gradline.training.solvers.lbfgs import Lbfgs
from gradline.training.solvers.newton import Newton
from gradline.training.solvers.newton_cg import NewtonCg
from gradline.training.solvers.progressive import ProgressiveNewton
from gradline.training.solvers.proximal_newton import ProximalNewton
from gradline.training.solvers.sampled_lbfgs import SampledLbfgs
from gradline.training.solvers.subspace_newton import SubspaceNewton

__all__ = [
    "ActiveNewton",
    "Adam",
    "Fista",
    "Lbfgs",
    "Newton",
    "NewtonCg",
    "ProgressiveNewton",
    "ProximalNewton",
    "SampledLbfgs",
    "Sgd",
    "Solver",
    "State",
    "SubspaceNewton",
]
