"""Cross-validation: one batched fit of all folds says what separate fits would."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gradline.data.folds import HeldOut, fold_scales
from gradline.data.sample import Roles
from gradline.data.split import assign_folds
from gradline.errors import PermanentError
from gradline.specs.logistic_regression import Split
from gradline.storage import ArtifactStore
from gradline.training import Family, make_problem, problem
from tests.numerics.attempts import MemoryAttempt, train
from tests.unit.data.uploads import ID, stored

CANCER = {"source": "builtin", "name": "breast_cancer"}
L2 = 0.01


def by_scikit_learn(fold_n: np.ndarray, weight_n: np.ndarray | None = None) -> list[float]:
    """Held-out log loss of separate fits, each of which standardises by its own training rows."""
    x, y = load_breast_cancer(return_X_y=True)
    losses = []
    for fold in range(int(fold_n.max()) + 1):
        kept = fold_n != fold
        weights = np.ones(len(y)) if weight_n is None else weight_n
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=1 / (L2 * weights[kept].sum()), tol=1e-12, solver="newton-cholesky")
        )
        model.fit(x[kept], y[kept], logisticregression__sample_weight=weights[kept])
        losses.append(log_loss(y[~kept], model.predict_proba(x[~kept])[:, 1]))
    return losses


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "newton-cg"])
def test_each_fold_is_held_out_from_its_own_member(solver: str):
    result, _ = train(
        data=CANCER, split={"folds": 4}, penalty={"l2": L2}, solver={"name": solver}, stop={"tolerance": 1e-10}
    )
    _, y = load_breast_cancer(return_X_y=True)
    fold_n = assign_folds(Roles(torch.as_tensor(y).long(), [0, 1]), 4, Split(folds=4))
    found = result["cross_validation"]["metrics"]["log_loss"]
    assert found["values"] == pytest.approx(by_scikit_learn(fold_n.numpy()), rel=1e-6)
    assert found["mean"] == pytest.approx(np.mean(found["values"]))
    assert found["std"] == pytest.approx(np.std(found["values"], ddof=1))


def test_class_weights_move_the_members_but_not_the_measure():
    result, _ = train(data=CANCER, split={"folds": 4}, penalty={"l2": L2}, model={"class_weights": {"malignant": 3.0}})
    _, y = load_breast_cancer(return_X_y=True)
    fold_n = assign_folds(Roles(torch.as_tensor(y).long(), [0, 1]), 4, Split(folds=4))
    expected = by_scikit_learn(fold_n.numpy(), np.where(y == 0, 3.0, 1.0))
    assert result["cross_validation"]["metrics"]["log_loss"]["values"] == pytest.approx(expected, rel=1e-6)


def test_cross_validation_changes_nothing_of_the_fit_itself():
    alone, _ = train(data=CANCER, penalty={"l2": L2})
    folded, _ = train(data=CANCER, penalty={"l2": L2}, split={"folds": 3})
    assert alone["cross_validation"] is None
    assert folded["coefficients"] == alone["coefficients"]
    assert folded["metrics"] == alone["metrics"]


@pytest.mark.parametrize("has_weights", [False, True])
def test_held_out_rows_are_gathered_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch, has_weights: bool):
    n, d, generator = 2_000, 5, torch.Generator().manual_seed(0)
    x_nd = 3 + torch.randn(n, d, dtype=torch.float64, generator=generator) * torch.arange(1.0, d + 1)
    x_nd[:, 0] = 7
    weight_n = torch.rand(n, dtype=torch.float64, generator=generator) if has_weights else None
    offset_n = torch.randn(n, dtype=torch.float64, generator=generator)
    rows = make_problem(x_nd, torch.arange(n) % 2, Family.BINOMIAL, weight_n=weight_n, offset_n=offset_n)
    fold_n = torch.randint(-1, 3, (n,), generator=generator)
    monkeypatch.setattr(problem, "CHUNK_BYTES", 100 * rows.p * 8)
    held_out = HeldOut(rows, fold_n, 3)
    assert max(part.n for _, _, part in held_out.parts()) < 100
    theta_bkp = torch.randn(3, 1, rows.p, dtype=torch.float64, generator=generator)
    z_bn1 = rows.x_np @ theta_bkp.transpose(1, 2) + offset_n.unsqueeze(1)
    z_n1, scale_bd = held_out.predictor(theta_bkp), fold_scales(held_out, torch.zeros(d), torch.ones(d))
    for fold in range(3):
        torch.testing.assert_close(z_n1[fold_n == fold], z_bn1[fold][fold_n == fold])
        others_n = ((fold_n != fold) & (fold_n >= 0)).double() * (1.0 if weight_n is None else weight_n)
        mean_d = others_n @ x_nd / others_n.sum()
        deviation_d = (others_n @ (x_nd - mean_d).square() / others_n.sum()).sqrt()
        torch.testing.assert_close(scale_bd[fold, 1:], deviation_d[1:])
        assert scale_bd[fold, 0] == 1, "a constant column is not scaled"
    assert not z_n1[fold_n < 0].any()


def upload(tmp_path: Any, rows: list[str]) -> MemoryAttempt:
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    attempt.uploads[ID] = stored(attempt.store, "\n".join(["a,g,y", *rows]).encode())
    return attempt


def data(**roles: str) -> dict[str, Any]:
    return {"source": "dataset", "dataset_id": ID, "target": "y", "features": ["a"]} | roles


def test_a_column_may_name_the_folds(tmp_path):
    rows = [f"{i % 7},{'xyz'[i % 3]},{(i * i) % 5}" for i in range(60)]
    result, _ = train(upload(tmp_path, rows), data=data(fold="g"), model={"family": "poisson"})
    assert result["cross_validation"]["folds"] == 3
    assert result["metrics"]["validation"] is None


def two_by_two(tmp_path: Any) -> tuple[MemoryAttempt, np.ndarray]:
    """Columns a, fold and y; wherever a is 1 so is y."""
    draw = np.random.default_rng(4)
    a = draw.integers(0, 2, 90)
    table = np.column_stack((a, np.arange(90) % 3, np.where(a == 1, 1, draw.integers(0, 2, 90))))
    return upload(tmp_path, [f"{a},{'xyz'[fold]},{y}" for a, fold, y in table]), table


def test_folds_of_separated_rows_are_fitted_by_firths_method_if_all_are(tmp_path):
    attempt, table = two_by_two(tmp_path)
    result, _ = train(attempt, data=data(fold="g"), on_separation="firth")
    losses = []
    for fold in range(3):
        (a, y), (a_out, y_out) = (table[table[:, 1] != fold][:, [0, 2]].T, table[table[:, 1] == fold][:, [0, 2]].T)
        ones = np.array([(y[a == cell].sum() + 0.5) / ((a == cell).sum() + 1) for cell in (0, 1)])
        losses.append(log_loss(y_out, ones[a_out], labels=[0, 1]))
    found = result["cross_validation"]
    assert found["outcome"] == "converged"
    assert found["metrics"]["log_loss"]["values"] == pytest.approx(losses, rel=1e-9)


@pytest.mark.parametrize("solver", ["auto", "sgd"])
def test_folds_of_separated_rows_have_the_ridge_that_all_have(tmp_path, solver: str):
    attempt, table = two_by_two(tmp_path)
    result, _ = train(
        attempt,
        data=data(fold="g"),
        on_separation="ridge",
        solver={"name": solver},
        stop={"tolerance": 1e-12},
        dtype="float64",
    )
    losses = []
    for fold in range(3):
        kept, out = table[table[:, 1] != fold], table[table[:, 1] == fold]
        model = make_pipeline(StandardScaler(), LogisticRegression(C=90 / len(kept), tol=1e-12, max_iter=1000))
        model.fit(kept[:, :1], kept[:, 2])
        losses.append(log_loss(out[:, 2], model.predict_proba(out[:, :1])[:, 1]))
    assert result["cross_validation"]["metrics"]["log_loss"]["values"] == pytest.approx(losses, rel=1e-6)


def test_folds_that_can_be_separated_although_all_rows_cannot_are_warned_of(tmp_path):
    attempt, table = two_by_two(tmp_path)
    rows = [f"{a},{'xyz'[fold]},{y}" for a, fold, y in table]
    _, attempt = train(upload(tmp_path, [*rows, "1,x,0"]), data=data(fold="g"))
    assert "penalty.l2" in attempt.warnings["separable_folds"]
    _, attempt = train(upload(tmp_path, [*rows, "1,x,0", "1,y,0"]), data=data(fold="g"))
    assert not attempt.warnings


def test_a_column_that_names_too_few_folds_is_refused(tmp_path):
    with pytest.raises(PermanentError, match="names one fold only"):
        train(upload(tmp_path, [f"{i},x,{i % 2}" for i in range(10)]), data=data(fold="g"))
