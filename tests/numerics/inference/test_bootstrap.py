"""The bootstrap against what is known without it."""

import numpy as np
import pytest
import torch

from gradline.inference.bootstrap import Penalty, bootstrap, draw_weights
from gradline.inference.parameters import all_parameters
from gradline.training import Family, make_problem
from tests.numerics.inference.fits import Fitted, fit


def drawn_fit(family: Family, n: int = 400, **more: object) -> Fitted:
    draw = np.random.default_rng(8)
    x = draw.normal(size=(n, 2))
    z = x @ np.array([1.0, -0.5]) + 0.3
    y = {
        Family.BINOMIAL: lambda: draw.random(n) < 1 / (1 + np.exp(-z)),
        Family.MULTINOMIAL: lambda: np.digitize(z + draw.logistic(size=n), [-1.0, 1.0]),
        Family.GAUSSIAN: lambda: z + draw.normal(size=n),
        Family.POISSON: lambda: draw.poisson(np.exp(z)),
    }[family]()
    return fit(x, y, family, standardize=False, **more)


def replicates(ours: Fitted, penalty: Penalty, n: int, seed: int = 1) -> tuple[torch.Tensor, int]:
    theta_kp = all_parameters(ours.problem, ours.minimum.theta_bq)[0]
    return bootstrap(ours.problem, theta_kp, penalty, n, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("family", list(Family))
def test_the_spread_of_replicates_is_the_robust_standard_error(family):
    ours = drawn_fit(family)
    theta_bkp, n_failed = replicates(ours, Penalty(), 2000)
    assert n_failed == 0
    np.testing.assert_allclose(theta_bkp.std(0).flatten(), ours.table("hc0").std_error_m, rtol=0.15)


def test_a_replicate_is_the_fit_to_its_rows():
    ours = drawn_fit(Family.BINOMIAL)
    theta_bkp, _ = replicates(ours, Penalty(), 3, seed=7)
    weight_nb = draw_weights(ours.problem, 3, torch.Generator().manual_seed(7))
    assert weight_nb.sum(0).tolist() == [400.0] * 3
    for b in range(3):
        rows = np.repeat(np.arange(400), weight_nb[:, b].long().numpy())
        alone = fit(
            ours.problem.x_np.numpy()[rows, :2], ours.problem.y_nk.numpy()[rows, 0], Family.BINOMIAL, standardize=False
        )
        torch.testing.assert_close(theta_bkp[b, 0], alone.theta_q, rtol=1e-5, atol=1e-6)


def test_ridge_and_lasso_replicates_agree_where_l1_all_but_vanishes():
    ours = drawn_fit(Family.BINOMIAL)
    ridge, _ = replicates(ours, Penalty(l2=0.1), 5)
    lasso, _ = replicates(ours, Penalty(l1=1e-9, l2=0.1), 5)
    torch.testing.assert_close(ridge, lasso, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", [Family.BINOMIAL, Family.GAUSSIAN])
def test_each_replicate_of_weighted_rows_has_the_penalty_of_its_own_number_of_rows(family):
    weight = np.random.default_rng(0).uniform(0.02, 0.1, 400)
    ours = drawn_fit(family, weight_n=torch.as_tensor(weight))
    ridge, _ = replicates(ours, Penalty(l2=0.1), 5)
    lasso, _ = replicates(ours, Penalty(l1=1e-9, l2=0.1), 5)
    torch.testing.assert_close(ridge, lasso, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", list(Family))
def test_replicates_without_any_row_are_left_out_and_counted(family):
    ours = drawn_fit(family, weight_n=torch.full((400,), 1e-3).double())
    theta_bkp, n_failed = replicates(ours, Penalty(l2=0.1), 40)
    n_rows_b = draw_weights(ours.problem, 40, torch.Generator().manual_seed(1)).sum(0)
    assert n_failed >= int((n_rows_b == 0).sum()) > 0
    assert bool(theta_bkp.isfinite().all())


def test_replicates_of_separable_rows_are_left_out_and_counted():
    draw = torch.Generator().manual_seed(0)
    x_nd = torch.randn(12, 1, generator=draw, dtype=torch.float64)
    target_n = (x_nd[:, 0] > 0).long()
    target_n[x_nd[:, 0].abs().argsort()[4]] ^= 1
    problem = make_problem(x_nd, target_n, Family.BINOMIAL)
    theta_kp = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    told = bootstrap(problem, theta_kp, Penalty(), 200, torch.Generator().manual_seed(3))
    assert 20 < told.n_failed < 200
    assert len(told.theta_bkp) + told.n_failed == 200
    firth = bootstrap(problem, theta_kp, Penalty(is_firth=True), 20, torch.Generator().manual_seed(3))
    assert firth.n_failed <= 1


def test_replicates_whose_hessians_fill_the_memory_are_fitted_a_few_at_a_time(monkeypatch):
    ours, groups = drawn_fit(Family.BINOMIAL), []
    theta_kp = all_parameters(ours.problem, ours.minimum.theta_bq)[0]
    monkeypatch.setattr("gradline.inference.bootstrap._MAX_CURVATURES", 4 * theta_kp.numel() ** 2)
    stream = torch.Generator().manual_seed(1)
    told = bootstrap(ours.problem, theta_kp, Penalty(), 10, stream, between=lambda: groups.append(1))
    assert len(groups) == 3
    assert len(told.theta_bkp) == 10


def test_frequencies_are_drawn_with_themselves_as_mean():
    ours = drawn_fit(Family.BINOMIAL, weight_n=torch.full((400,), 3.0, dtype=torch.float64))
    weight_nb = draw_weights(ours.problem, 200, torch.Generator().manual_seed(3))
    assert float(weight_nb.mean()) == pytest.approx(3.0, rel=0.02)
    theta_bkp, _ = replicates(ours, Penalty(), 1000)
    np.testing.assert_allclose(theta_bkp.std(0).flatten(), ours.table("hc0").std_error_m, rtol=0.12)
