"""Newton's methods against other programs' minima, and where there is none."""

import math
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import ElasticNet, LogisticRegression, PoissonRegressor, Ridge

from gradline.training import (
    Family,
    Fista,
    Newton,
    NewtonCg,
    Objective,
    Outcome,
    ProgressiveNewton,
    ProximalNewton,
    SampledLbfgs,
    SubspaceNewton,
    choose,
    make_problem,
    proximal_newton_for,
)
from gradline.training.derivatives import Want
from gradline.training.rows import Rows
from gradline.training.solvers.active_newton import ActiveNewton
from gradline.training.solvers.grouping import grouped
from gradline.training.solvers.lazy_newton import LazyNewton
from gradline.training.solvers.preconditioner import Preconditioner
from gradline.training.solvers.subspace import Subspace
from tests.numerics.problems import FAMILIES, least_value, random_problem, solve, value, zeros

RELATIVE = 1e-6
N_STEPS = 6
pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")


def chosen(objective):
    solver = choose(objective, zeros(objective)).solver
    assert solve(solver)
    return solver.theta_bkp[0].clone().numpy()


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=RELATIVE, atol=RELATIVE * np.abs(theirs).max())


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("family", [Family.BINOMIAL, Family.POISSON, Family.GAUSSIAN])
def test_unpenalised_coefficients_are_those_of_statsmodels(family, is_weighted):
    problem = random_problem(family, 7, is_weighted=is_weighted, has_offset=True)
    theirs = sm.GLM(
        problem.y_nk[:, 0].numpy(),
        problem.x_np.numpy(),
        {"binomial": sm.families.Binomial(), "poisson": sm.families.Poisson(), "gaussian": sm.families.Gaussian()}[
            family
        ],
        offset=problem.offset_n1[:, 0].numpy(),
        freq_weights=problem.weight_nb[:, 0].numpy() if is_weighted else None,
    ).fit(tol=1e-14, maxiter=100)
    close(chosen(Objective(problem))[0], theirs.params)


def test_unpenalised_multinomial_coefficients_are_those_of_statsmodels():
    problem = random_problem(Family.MULTINOMIAL, 8, d=3)
    theirs = sm.MNLogit(problem.class_n.numpy(), problem.x_np.numpy()).fit(disp=False, method="newton", maxiter=100)
    theta_kp = chosen(Objective(problem))
    close(theta_kp[1:] - theta_kp[:1], theirs.params.T)
    assert np.abs(theta_kp.sum(0)).max() < 1e-9, "classes are centred where nothing else settles them"


@pytest.mark.parametrize("k", [2, 4])
def test_ridge_coefficients_of_classes_are_those_of_scikit_learn(k):
    family = Family.BINOMIAL if k == 2 else Family.MULTINOMIAL
    problem, l2 = random_problem(family, 9, k=k, is_weighted=True), 0.02
    theirs = LogisticRegression(C=1 / l2, solver="newton-cholesky", tol=1e-13, max_iter=1000)
    share_n = problem.share_nb[:, 0].numpy()
    theirs.fit(problem.x_np[:, :-1].numpy(), problem.class_n.numpy(), sample_weight=share_n)
    theta_kp = chosen(Objective(problem, l2=l2))
    close(theta_kp[:, :-1], theirs.coef_)


def test_ridge_coefficients_of_numbers_are_those_of_scikit_learn():
    problem, l2 = random_problem(Family.GAUSSIAN, 10), 0.1
    theirs = Ridge(alpha=l2 * problem.n, tol=1e-14).fit(problem.x_np[:, :-1].numpy(), problem.y_nk[:, 0].numpy())
    close(chosen(Objective(problem, l2=l2))[0], np.append(theirs.coef_, theirs.intercept_))
    counts = random_problem(Family.POISSON, 11)
    glm = PoissonRegressor(alpha=l2, solver="newton-cholesky", tol=1e-13, max_iter=1000)
    glm.fit(counts.x_np[:, :-1].numpy(), counts.y_nk[:, 0].numpy())
    close(chosen(Objective(counts, l2=l2))[0], np.append(glm.coef_, glm.intercept_))


def test_elastic_net_coefficients_are_those_of_scikit_learn():
    problem = random_problem(Family.GAUSSIAN, 12, d=30, n=100)
    theirs = ElasticNet(alpha=0.1, l1_ratio=0.7, tol=1e-14, max_iter=1_000_000)
    theirs.fit(problem.x_np[:, :-1].numpy(), problem.y_nk[:, 0].numpy())
    ours = chosen(Objective(problem, l1=0.07, l2=0.03))[0]
    close(ours, np.append(theirs.coef_, theirs.intercept_))
    assert ((ours[:-1] == 0) == (theirs.coef_ == 0)).all()
    assert 0 < (ours[:-1] == 0).sum() < 30


@pytest.mark.parametrize("seed", range(4))
def test_a_weak_l1_penalty_on_classes_takes_few_steps(seed):
    """The penalty alone says what all classes' coefficients have in common: steps must go there at once."""
    objective = Objective(random_problem(Family.MULTINOMIAL, seed, n=40, d=3), l1=6e-6)
    solver = ProximalNewton(objective, zeros(objective), is_polished=True)
    assert solve(solver, max_steps=20)


# --- several members, and the same bits


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("make", [Newton, NewtonCg, ProximalNewton, SubspaceNewton])
def test_members_end_where_each_would_alone(make, family):
    problem = random_problem(family, 13)
    folds_nb = torch.stack([(torch.arange(problem.n) % 3 != b).double() for b in range(3)], 1)
    l2_b = torch.tensor([0.001, 0.1, 1.0], dtype=torch.float64)
    l1_b = l2_b / 10 if make is ProximalNewton else torch.zeros(3, dtype=torch.float64)
    together = Objective(replace(problem, weight_nb=folds_nb), l1_b, l2_b, n_members=3)
    solver = make(together, zeros(together, 3))
    assert solve(solver, 1e-12)
    for b in range(3):
        alone = Objective(replace(problem, weight_nb=folds_nb[:, b : b + 1]), l1_b[b].item(), l2_b[b].item())
        close(value(alone, solver.theta_bkp[b : b + 1].clone()), least_value(alone))


SAMPLED = {
    "progressive": lambda objective, theta_bkp: ProgressiveNewton(objective, theta_bkp, n_rows=120),
    "sampled": lambda objective, theta_bkp: SampledLbfgs(objective, theta_bkp, n_rows=120, memory=3),
    "newton-cg": NewtonCg,
    "subspace": SubspaceNewton,
    "proximal": lambda objective, theta_bkp: ProximalNewton(objective, theta_bkp, n_rows=120),
    "active": ActiveNewton,
}


@pytest.mark.parametrize("name", SAMPLED)
def test_a_fit_taken_up_again_goes_on_with_the_same_bits(name):
    objective = Objective(
        random_problem(Family.BINOMIAL, 14, n=1000), 0.001 if name in ("proximal", "active") else 0.0, 1e-3
    )
    whole = SAMPLED[name](objective, zeros(objective))
    stops = []
    for _ in range(N_STEPS):
        stops.append((whole.theta_bkp.clone(), whole.state()))
        whole.is_converged(1e-15)
        whole.step()
    for n_done, (theta_bkp, state) in enumerate(stops):
        again = SAMPLED[name](objective, theta_bkp)
        again.load(state)
        for _ in range(n_done, N_STEPS):
            again.is_converged(1e-15)
            again.step()
        assert torch.equal(again.theta_bkp, whole.theta_bkp)
        assert again.state().numbers == whole.state().numbers


# --- where others fail


@pytest.mark.parametrize("loader", [load_breast_cancer, load_digits])
def test_columns_on_their_own_scales_are_no_obstacle(loader):
    x, y = loader(return_X_y=True)
    k = len(set(y))
    family = Family.BINOMIAL if k == 2 else Family.MULTINOMIAL
    problem = make_problem(torch.tensor(x), torch.tensor(y), family, k)
    objective = Objective(problem, l2=1 / problem.n)
    choice = choose(objective, zeros(objective))
    assert choice.name == "newton"
    assert solve(choice.solver)
    theirs = LogisticRegression(C=1, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(x, y)
    theta_bkp = torch.tensor(np.concatenate((theirs.coef_, theirs.intercept_[:, None]), 1)).unsqueeze(0)
    assert value(objective, choice.solver.theta_bkp) <= value(objective, theta_bkp) * (1 + 1e-6)


@pytest.mark.parametrize("make", [SAMPLED["progressive"], SAMPLED["sampled"]])
def test_a_sample_that_separates_is_left_alone(make):
    problem = random_problem(Family.BINOMIAL, 15, n=1500, d=60, signal=3.0)
    objective = Objective(problem, l2=1e-5)
    sample = Objective(problem.rows(torch.arange(0, 1500, 13)))
    newton = Newton(sample, zeros(sample))
    assert not solve(newton)
    assert newton.ending == Outcome.SEPARATED
    solver = make(objective, zeros(objective))
    assert solve(solver)
    least = least_value(objective)
    assert (value(objective, solver.theta_bkp) - least) / least <= 1e-6


@pytest.mark.parametrize("family", [Family.BINOMIAL, Family.MULTINOMIAL, Family.POISSON])
def test_what_the_sample_foretells_leaves_a_fifth_of_the_gap_or_less(family):
    objective = Objective(random_problem(family, 26, n=20_000), l2=1e-4)
    foretold = ProgressiveNewton(objective, zeros(objective), n_rows=4_000)
    foretold.step()
    without = ProgressiveNewton(objective, foretold.theta_bkp.clone(), n_rows=4_000)
    state = foretold.state()
    state.numbers["foretells"] = False
    without.load(state)
    least = least_value(objective)
    for solver in (foretold, without):
        solver.step()
    assert foretold.n_passes == without.n_passes
    assert value(objective, foretold.theta_bkp) - least <= (value(objective, without.theta_bkp) - least) / 5


def separable(kind: str):
    generator = torch.Generator().manual_seed(0)
    x_nd = torch.randn(100, 2, generator=generator, dtype=torch.float64)
    class_n = (x_nd[:, 1] + torch.randn(100, generator=generator) > 0).long()
    if kind == "complete":
        class_n = (x_nd.sum(1) > 0).long()
    else:
        x_nd[:, 0] = 0
        x_nd[:4, 0], class_n[:4] = 1, 1
    return make_problem(x_nd, class_n, Family.BINOMIAL)


@pytest.mark.parametrize("kind", ["complete", "quasi-complete"])
def test_separation_is_an_outcome_and_ridge_mends_it(kind):
    objective = Objective(separable(kind))
    newton = Newton(objective, zeros(objective))
    assert not solve(newton)
    assert newton.ending == Outcome.SEPARATED
    assert newton.n_passes < 30
    assert newton.gap().bound_b.isinf().all()
    mended = Objective(separable(kind), l2=1e-6)
    assert solve(Newton(mended, zeros(mended)))


def test_poisson_counts_of_zero_in_a_level_are_a_separation():
    problem = random_problem(Family.POISSON, 16, d=1)
    problem.x_np[:, 0] = 0
    problem.x_np[:20, 0], problem.y_nk[:20] = 1, 0
    objective = Objective(problem)
    newton = Newton(objective, zeros(objective))
    assert not solve(newton)
    assert newton.ending == Outcome.SEPARATED


@pytest.mark.parametrize("count", [3, 7, 100])
def test_counts_that_are_all_the_same_are_fitted_without_loss(count):
    problem = random_problem(Family.POISSON, 16, n=50)
    problem.y_nk[:] = count
    newton = Newton(Objective(problem), zeros(Objective(problem)))
    assert solve(newton)
    assert newton.gap().relative_b.tolist() == [0.0]
    close(newton.theta_bkp[0, 0, -1].item(), math.log(count))


def test_an_intercept_goes_to_infinity_where_a_penalty_holds_the_rest_and_a_class_is_missing():
    problem = random_problem(Family.MULTINOMIAL, 25)
    problem.y_nk[:, 0] += problem.y_nk[:, 2]
    problem.y_nk[:, 2] = 0
    newton = Newton(Objective(problem, l2=0.01), zeros(Objective(problem)))
    assert not solve(newton)
    assert newton.ending == Outcome.SEPARATED


def test_columns_given_twice_leave_the_fit_itself_alone():
    problem = random_problem(Family.BINOMIAL, 17)
    twice = replace(problem, x_np=torch.cat((problem.x_np[:, :1], problem.x_np), 1))
    objective = Objective(twice)
    newton = Newton(objective, zeros(objective))
    assert solve(newton)
    close(newton.gap().value_b.item(), least_value(Objective(problem)))
    assert newton.look().factor.is_singular_b.all()


def test_a_long_step_takes_curvatures_anew_without_a_pass_to_see_that_they_changed():
    objective = Objective(random_problem(Family.BINOMIAL, 0, signal=3.0), l2=1e-3)
    newton = LazyNewton(objective, zeros(objective))
    newton.step()
    assert newton.look().drift_b is None  # the factor is from here
    assert newton.n_passes == 2
    while not newton.is_within(1e-9):
        newton.step()
    assert newton.look().drift_b is not None


@pytest.mark.parametrize("make", [Newton, NewtonCg, SAMPLED["sampled"]])
def test_an_l1_penalty_is_refused_by_solvers_for_smooth_objectives(make):
    objective = Objective(random_problem(Family.BINOMIAL, 0), l1=0.1)
    with pytest.raises(ValueError, match="needs a smooth objective"):
        make(objective, zeros(objective))


# --- sparse features


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("has_intercept", [False, True])
def test_sparse_features_give_the_minimum_of_dense_ones(family, has_intercept):
    dense = random_problem(family, 18, d=8)
    x_nd = dense.x_np[:, :-1] * (torch.rand(dense.n, 8, generator=torch.Generator().manual_seed(1)) < 0.3)
    target_n = dense.class_n if family.is_classification else dense.y_nk[:, 0]
    k = dense.k if family == Family.MULTINOMIAL else 2
    problems = [make_problem(x, target_n, family, k, has_intercept=has_intercept) for x in (x_nd, x_nd.to_sparse_csr())]
    for make in (Newton, NewtonCg, SubspaceNewton):
        thetas = []
        for problem in problems:
            objective = Objective(problem, l2=0.01)
            solver = make(objective, zeros(objective))
            assert solve(solver, 1e-9)
            thetas.append(solver.theta_bkp)
        torch.testing.assert_close(*thetas, rtol=1e-3, atol=1e-4)
    assert choose(Objective(problems[1]), thetas[0]).name == "newton"


# --- within a subspace


def wide_problem(n=1200, d=300, family=Family.BINOMIAL, k=2):
    """Columns that lean on their neighbours."""
    generator = torch.Generator().manual_seed(6)
    x_nd = torch.randn(n, d, generator=generator, dtype=torch.float64)
    for j in range(1, d):
        x_nd[:, j] = 0.8 * x_nd[:, j - 1] + 0.6 * x_nd[:, j]
    z_nk = x_nd @ torch.randn(d, k, generator=generator, dtype=torch.float64) / d**0.5
    noise_nk = torch.rand(n, k, generator=generator, dtype=torch.float64).log().neg().log().neg()
    return make_problem(x_nd, (z_nk + noise_nk).argmax(1), family, k)


def passes_of(make, objective):
    solver = make(objective, zeros(objective))
    assert solve(solver)
    return solver.n_passes


def test_a_search_within_a_subspace_saves_a_third_of_the_passes():
    for strength in (0.01, 1.0, 100.0):
        problem = wide_problem()
        objective = Objective(problem, l2=1 / (strength * problem.n))
        assert passes_of(SubspaceNewton, objective) <= passes_of(NewtonCg, objective) * 2 / 3


@pytest.mark.parametrize("family", [Family.BINOMIAL, Family.MULTINOMIAL, Family.POISSON])
def test_a_subspace_ends_at_the_minimum_of_its_directions_and_intercepts(family):
    problem = random_problem(family, 27, is_weighted=True)
    objective, rows = Objective(problem, l2=0.01), Rows(problem)
    generator = torch.Generator().manual_seed(0)
    d_bsq = torch.randn(1, 2, problem.k * problem.p, generator=generator, dtype=torch.float64)
    z_bsnk = torch.stack([rows.predict(d_bsq[:, s].view(1, problem.k, -1)) for s in range(2)], 1)
    theta_bkp = zeros(objective)
    theta_bkp, z_bnk = Subspace(objective, rows, theta_bkp, rows.predict(theta_bkp), d_bsq, z_bsnk).minimise()
    torch.testing.assert_close(rows.predict(theta_bkp), z_bnk)
    gradient_bkp = objective.derivatives(theta_bkp).gradient_bkp
    slope_bs = (d_bsq @ gradient_bkp.view(1, -1, 1)).squeeze(2)
    first_bs = (d_bsq @ objective.derivatives(zeros(objective)).gradient_bkp.view(1, -1, 1)).squeeze(2)
    assert (slope_bs.abs() <= 0.05 * first_bs.abs().amax()).all()
    assert gradient_bkp[:, :, -1].abs().amax() <= 1e-14


def test_rounded_predictors_are_computed_anew_before_a_fit_counts_as_converged():
    objective = Objective(wide_problem(300, 40), l2=1e-3)
    solver = SubspaceNewton(objective, zeros(objective))
    while not solver.is_converged(1e-3):
        solver.step()
    state = solver.state()
    state.tensors["predictor"] += 0.1 * torch.randn(300, 1, generator=torch.Generator().manual_seed(0)).double()
    astray = SubspaceNewton(objective, solver.theta_bkp)
    astray.load(state)
    assert solve(astray, 1e-6)
    least = least_value(objective)
    assert (value(objective, astray.theta_bkp) - least) / least <= astray.gap().relative_b.item() <= 1e-6


def test_a_weak_penalty_on_float32_columns_takes_long_but_does_not_stall():
    objective = Objective(wide_problem(1000, 400).to(torch.float32), l2=1e-6)
    solver = SubspaceNewton(objective, zeros(objective))
    assert solve(solver, max_steps=1000), solver.ending


def test_a_subspace_needs_an_l2_penalty_in_every_member():
    problem = random_problem(Family.BINOMIAL, 0)
    for objective in (Objective(problem), Objective(problem, l1=0.1, l2=0.1)):
        with pytest.raises(ValueError, match="needs an l2 penalty"):
            SubspaceNewton(objective, zeros(objective))


def test_wide_fits_of_one_output_with_an_l2_penalty_search_within_subspaces():
    problem = wide_problem(200, 2200)
    assert isinstance(choose(Objective(problem, l2=0.1), zeros(Objective(problem))).solver, SubspaceNewton)
    assert isinstance(choose(Objective(problem), zeros(Objective(problem))).solver, NewtonCg)
    mid = wide_problem(6000, 1000)
    assert isinstance(choose(Objective(mid, l2=0.1), zeros(Objective(mid))).solver, SubspaceNewton)
    rough = mid.to(torch.float32)
    assert choose(Objective(rough, l2=0.1), zeros(Objective(rough))).name == "newton"


# --- what conjugate gradients divide by


def test_what_classes_have_in_common_bends_by_the_penalty_alone():
    problem = wide_problem(400, 20, Family.MULTINOMIAL, 4)
    objective = Objective(problem, l2=1e-3)
    found = objective.derivatives(zeros(objective) + 0.1, Want.PRODUCTS)
    common_bkp = torch.randn(1, 1, 21, generator=torch.Generator().manual_seed(0), dtype=torch.float64).expand(1, 4, 21)
    preconditioner = Preconditioner(objective, torch.full((1,), 0.2, dtype=torch.float64))
    solved_bkp = preconditioner.solve(common_bkp.clone(), objective.mean_curvature(found.weights))
    bent_bkp = objective.hessian_product(found.weights, solved_bkp)
    torch.testing.assert_close(bent_bkp[:, :, :-1], common_bkp[:, :, :-1])


def passes_taken(x_nd, class_n):
    objective = Objective(make_problem(x_nd, class_n, Family.BINOMIAL), l2=1e-3)
    solver = NewtonCg(objective, zeros(objective))
    assert solve(solver, 1e-9)
    return solver.n_passes


def test_columns_far_from_zero_take_no_more_products_than_centred_ones():
    x_nd = torch.randn(600, 30, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    class_n = (x_nd[:, 0] + x_nd[:, 1] > 0).long() ^ (torch.arange(600) % 5 == 0)
    for away_nd in (x_nd + 10, (x_nd + 10).to_sparse_csr()):
        assert passes_taken(away_nd, class_n) <= passes_taken(x_nd, class_n) + 3


def like_their_neighbours(x_nd):
    alike_nd = x_nd.clone()
    for j in range(1, x_nd.shape[1]):
        alike_nd[:, j] = 0.95 * alike_nd[:, j - 1] + (1 - 0.95**2) ** 0.5 * x_nd[:, j]
    return alike_nd


def test_columns_like_their_neighbours_take_few_more_products_than_others():
    x_nd = torch.randn(3000, 300, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    alike_nd = like_their_neighbours(x_nd)
    class_n = (x_nd[:, 0] + alike_nd[:, 1] > 0).long() ^ (torch.arange(3000) % 5 == 0)
    assert passes_taken(alike_nd, class_n) <= 1.5 * passes_taken(x_nd, class_n)


def test_columns_like_others_far_away_take_few_more_products_than_beside_them():
    generator = torch.Generator().manual_seed(5)
    x_nd = like_their_neighbours(torch.randn(2000, 1000, generator=generator, dtype=torch.float64))
    class_n = (x_nd[:, 0] + x_nd[:, 1] > 0).long() ^ (torch.arange(2000) % 5 == 0)
    shuffled_nd = x_nd[:, torch.randperm(1000, generator=generator)]
    assert passes_taken(shuffled_nd, class_n) <= 1.5 * passes_taken(x_nd, class_n)


def test_columns_are_put_in_order_only_where_that_brings_partners_together():
    generator = torch.Generator().manual_seed(6)
    x_nd = like_their_neighbours(torch.randn(256, 600, generator=generator))
    order_d = torch.randperm(600, generator=generator)
    assert grouped(x_nd, 64) is None
    assert grouped(torch.randn(256, 600, generator=generator), 64) is None
    found_d = grouped(x_nd[:, order_d], 64)
    assert found_d.sort().values.tolist() == list(range(600))
    column_d = order_d[found_d]
    beside = [abs(int(a) - int(b)) == 1 for block in column_d.split(64) for a in block for b in block]
    assert sum(beside) / 2 > 0.9 * 599, "pairs of neighbours within a block"


@pytest.mark.parametrize("family", FAMILIES)
def test_proximal_newton_without_an_l1_penalty_ends_at_the_minimum_and_tells_the_gap(family):
    objective = Objective(random_problem(family, 11))
    solver = proximal_newton_for(objective, zeros(objective))
    assert solve(solver, max_steps=20)
    assert solver.gap().relative_b.item() <= 1e-6


def columns_beyond_rows(n, d=2_100, family=Family.BINOMIAL, k=2, dtype=torch.float64, **options):
    generator = torch.Generator().manual_seed(0)
    x_nd = torch.randn(n, d, generator=generator, dtype=torch.float64)
    noise_nk = torch.randn(n, k, generator=generator, dtype=torch.float64)
    z_nk = x_nd[:, : 3 * k].view(n, k, 3).sum(2) + noise_nk
    target_n = z_nk.argmax(1) if family.is_classification else z_nk[:, 0].exp().round()
    return make_problem(x_nd.to(dtype), target_n, family, k, **options)


def test_too_many_columns_for_an_l1_penalty_and_a_hessian_end_within_the_gap_that_was_asked_for():
    objective = Objective(columns_beyond_rows(2_100), l1=0.05)
    choice = choose(objective, zeros(objective))
    assert choice.name == "fista"
    assert solve(choice.solver, max_steps=1_000)
    assert choice.solver.gap().relative_b.item() <= 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("l1", [3e-2, 3e-4, 3e-5])
def test_a_weak_l1_penalty_on_many_columns_of_few_rows_takes_few_steps(l1, dtype):
    objective = Objective(columns_beyond_rows(150, dtype=dtype), l1=l1)
    choice = choose(objective, zeros(objective))
    assert choice.name == "proximal-newton"
    assert solve(choice.solver, max_steps=40)
    exact = objective.in_float64()
    assert fenchel_gap(exact, choice.solver.theta_bkp) <= 2e-6


def fenchel_gap(objective, theta_bkp):
    return Fista(objective, theta_bkp.clone()).gap().relative_b.item()


@pytest.mark.parametrize("has_intercept", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_steps_within_a_few_columns_end_at_the_minimum_of_all(family, has_intercept):
    problem = columns_beyond_rows(
        80, 300, family, 3 if family == Family.MULTINOMIAL else 2, has_intercept=has_intercept
    )
    for l2 in (0.0, 0.01):
        objective = Objective(problem, l1=0.01, l2=l2)
        solver = ActiveNewton(objective, zeros(objective))
        assert solve(solver, 1e-10)
        close(value(objective, solver.theta_bkp), least_value(objective))


def test_members_with_scales_and_penalties_of_their_own_share_steps_within_a_few_columns():
    problem = columns_beyond_rows(40, 120)
    l1_b = torch.tensor([0.003, 0.03], dtype=torch.float64)
    scale_bd = torch.rand(2, 120, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.5
    objective = Objective(problem, l1_b, l1_b / 2, n_members=2, scale_bd=scale_bd)
    solver = ActiveNewton(objective, zeros(objective, 2))
    assert solve(solver, 1e-10)
    for b in range(2):
        alone = Objective(problem, l1_b[b].item(), l1_b[b].item() / 2, scale_bd=scale_bd[b : b + 1])
        close(value(alone, solver.theta_bkp[b : b + 1].clone()), least_value(alone))


def test_steps_within_a_few_columns_need_an_l1_penalty_in_every_member():
    objective = Objective(random_problem(Family.BINOMIAL, 0), torch.tensor([0.1, 0.0]), n_members=2)
    with pytest.raises(ValueError, match="an l1 penalty in every member"):
        ActiveNewton(objective, zeros(objective, 2))


@pytest.mark.parametrize("offset", [-100.0, -40.0, 40.0])
def test_offsets_that_leave_rows_hardly_any_curvature_and_no_intercept_to_take_them_end_at_the_minimum(offset):
    generator = torch.Generator().manual_seed(0)
    x_nd = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    target_n = (x_nd.sum(1) + torch.randn(200, generator=generator, dtype=torch.float64) > 0).long()
    offset_n = torch.full((200,), offset, dtype=torch.float64)
    problem = make_problem(x_nd, target_n, Family.BINOMIAL, has_intercept=False, offset_n=offset_n)
    objective = Objective(problem)
    solver = choose(objective, zeros(objective)).solver
    assert solve(solver, max_steps=30), solver.ending
    assert objective.stationarity(solver.theta_bkp).item() <= 1e-9
