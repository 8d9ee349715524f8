"""Factors of Hessians, also of those that are too ill-conditioned to be formed."""

from fractions import Fraction

import torch
from torch import Tensor

from gradline.training.factor import factorise, factorise_rows


def rows(noise: float) -> Tensor:
    """Of which the last column is the sum of the first two, but for noise. Entries are multiples of 2^-40."""
    draw = torch.Generator().manual_seed(4)
    x_n2 = torch.randint(-64, 64, (50, 2), generator=draw).double()
    off_n1 = torch.randint(-64, 64, (50, 1), generator=draw).double() * noise
    return torch.cat((x_n2, x_n2.sum(1, keepdim=True) + off_n1), 1)


def solved_exactly(x_np: Tensor, g_p: Tensor) -> list[float]:
    """(x' x)^-1 g in fractions, by Cramer's rule."""
    exact = [[Fraction(value) for value in row] for row in x_np.tolist()]
    gram = [[sum((row[i] * row[j] for row in exact), Fraction()) for j in range(3)] for i in range(3)]
    right = [Fraction(value) for value in g_p.tolist()]

    def determinant(m: list[list[Fraction]]) -> Fraction:
        (a, b, c), (d, e, f), (g, h, i) = m
        return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)

    whole = determinant(gram)
    columns = ([[right[i] if j == k else gram[i][j] for j in range(3)] for i in range(3)] for k in range(3))
    return [float(determinant(column) / whole) for column in columns]


def test_a_hessian_is_solved_from_its_rows_where_its_own_factor_needs_a_ridge() -> None:
    x_np, g_p = rows(2.0**-32), torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    wanted = torch.tensor(solved_exactly(x_np, g_p), dtype=torch.float64)
    of_hessian, of_rows = factorise((x_np.T @ x_np).unsqueeze(0)), factorise_rows(x_np.split(20))
    assert bool(of_hessian.is_singular_b)
    assert not bool(of_rows.is_singular_b)
    assert torch.allclose(of_rows.solve(g_p.unsqueeze(0))[0], wanted, rtol=1e-5, atol=0.0)
    assert not torch.allclose(of_hessian.solve(g_p.unsqueeze(0))[0], wanted, rtol=0.1, atol=0.0)


def test_rows_of_lower_rank_are_singular_in_either_way() -> None:
    x_np = rows(0.0)
    assert bool(factorise((x_np.T @ x_np).unsqueeze(0)).is_singular_b)
    assert bool(factorise_rows(x_np.split(20)).is_singular_b)


def test_both_ways_give_the_same_factor_where_the_condition_is_good() -> None:
    x_np = rows(0.5)
    of_hessian, of_rows = factorise((x_np.T @ x_np).unsqueeze(0)), factorise_rows(x_np.split(20))
    assert torch.allclose(of_rows.lower_bqq, of_hessian.lower_bqq, rtol=1e-10, atol=1e-12)
    assert torch.allclose(of_rows.scale_bq, of_hessian.scale_bq, rtol=1e-12)
