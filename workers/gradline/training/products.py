"""The two products that every solver is made of, for dense and for sparse features: x theta and r' x.

Sparse features are kept twice, by rows and by columns (CSR of x and of its transpose): each product then reads its
matrix in order, and no two rows write to the same sum.

Shapes: n rows, p columns of x, m columns of parameters.
"""

from typing import Protocol

import torch
from torch import Tensor


class Products(Protocol):
    def predict(self, theta_pm: Tensor, out_nm: Tensor) -> None:
        """out = x theta."""

    def collect(self, r_nm: Tensor, out_mp: Tensor) -> None:
        """out = r' x."""


class DenseProducts:
    def __init__(self, x_np: Tensor) -> None:
        self._x_np = x_np

    def predict(self, theta_pm: Tensor, out_nm: Tensor) -> None:
        torch.mm(self._x_np, theta_pm, out=out_nm)

    def collect(self, r_nm: Tensor, out_mp: Tensor) -> None:
        torch.mm(r_nm.T, self._x_np, out=out_mp)


class SparseProducts:
    def __init__(self, x_np: Tensor, xt_pn: Tensor) -> None:
        self._x_np, self._xt_pn = x_np, xt_pn

    def predict(self, theta_pm: Tensor, out_nm: Tensor) -> None:
        torch.mm(self._x_np, theta_pm.contiguous(), out=out_nm)

    def collect(self, r_nm: Tensor, out_mp: Tensor) -> None:
        out_mp.copy_((self._xt_pn @ r_nm).T)


def transposed(x_np: Tensor) -> Tensor:
    """The transpose of a CSR matrix as CSR."""
    csc = x_np.to_sparse_csc()
    return torch.sparse_csr_tensor(
        csc.ccol_indices(), csc.row_indices(), csc.values(), (x_np.shape[1], x_np.shape[0]), check_invariants=False
    )


def with_ones(x_nd: Tensor) -> Tensor:
    """A column of ones after the last: x as [n, d + 1], sparse where x is."""
    n, d = x_nd.shape
    if x_nd.layout != torch.sparse_csr:
        return torch.cat((x_nd, x_nd.new_ones(n, 1)), 1)
    crow, values = x_nd.crow_indices(), x_nd.values()
    is_one = torch.zeros(len(values) + n, dtype=torch.bool, device=values.device)
    is_one[crow[1:] + torch.arange(n, device=crow.device)] = True
    column = torch.full_like(is_one, d, dtype=crow.dtype)
    value = torch.ones_like(is_one, dtype=values.dtype)
    column[~is_one], value[~is_one] = x_nd.col_indices(), values
    crow_with = crow + torch.arange(n + 1, dtype=crow.dtype, device=crow.device)
    return torch.sparse_csr_tensor(crow_with, column, value, (n, d + 1), check_invariants=False)
