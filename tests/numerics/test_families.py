"""Targets of every family, weights and offsets: from an uploaded file to coefficients, against statsmodels."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradline.errors import PermanentError
from gradline.storage import ArtifactStore
from tests.numerics.attempts import MemoryAttempt, train
from tests.unit.data.uploads import ID, stored

COLUMNS = ["a", "b", "w", "o", "y"]
TIGHT = {"tolerance": 1e-13}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Any:
    return tmp_path_factory.mktemp("store")


def fit(folder: Any, rows: np.ndarray, data: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """The result of a job over rows of `COLUMNS`."""
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{folder}")
    lines = [",".join(COLUMNS), *(",".join(repr(float(v)) for v in row) for row in rows)]
    attempt.uploads[ID] = stored(attempt.store, "\n".join(lines).encode())
    roles = {"source": "dataset", "dataset_id": ID, "target": "y", "features": ["a", "b"]} | (data or {})
    result, _ = train(attempt, **{"data": roles, "stop": TIGHT} | spec)
    return result


def estimates(result: dict[str, Any]) -> list[float]:
    """Intercept first, as statsmodels has it."""
    return [entry["estimate"] for entry in [*result["intercepts"], *result["coefficients"]]]


def drawn(family: str, n: int = 300, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    a, b = generator.normal(3, 2, n), generator.normal(size=n)
    w, o = generator.uniform(0.5, 3, n), generator.normal(0, 0.3, n)
    z = 0.4 - 0.3 * a + 0.5 * b + o
    y = {
        "binomial": lambda: (generator.random(n) < 1 / (1 + np.exp(-z))).astype(float),
        "gaussian": lambda: z + generator.normal(size=n),
        "log-linear": lambda: np.exp(z + generator.normal(size=n)),
        "poisson": lambda: generator.poisson(np.exp(z)).astype(float),
    }[family]()
    return np.column_stack([a, b, w, o, y])


def by_statsmodels(family: str, rows: np.ndarray, *, weights: bool, offset: bool) -> np.ndarray:
    a, b, w, o, y = rows.T
    families = {"binomial": sm.families.Binomial(), "poisson": sm.families.Poisson()}
    model = sm.GLM(
        np.log(y) if family == "log-linear" else y,
        sm.add_constant(np.column_stack([a, b])),
        family=families.get(family, sm.families.Gaussian()),
        freq_weights=w if weights else None,
        offset=o if offset else None,
    )
    return model.fit(tol=1e-14, maxiter=200).params


@pytest.mark.parametrize("roles", [(), ("weights",), ("offset",), ("weights", "offset")], ids=" ".join)
@pytest.mark.parametrize("family", ["binomial", "gaussian", "log-linear", "poisson"])
def test_coefficients_agree_with_statsmodels(folder: Any, family: str, roles: tuple[str, ...]):
    rows = drawn(family)
    data = {role: {"weights": "w", "offset": "o"}[role] for role in roles}
    result = fit(folder, rows, data, model={"family": family})
    expected = by_statsmodels(family, rows, weights="weights" in roles, offset="offset" in roles)
    assert estimates(result) == pytest.approx(list(expected), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("family", "value", "reason"),
    [("log-linear", 0.0, "so it must be above 0"), ("log-linear", -2.5, "above 0"), ("poisson", -1.0, "0 or more")],
)
def test_a_target_that_the_family_cannot_take_is_named_with_its_row(folder: Any, family, value, reason):
    rows = drawn(family)
    rows[16, 4], rows[3, 2] = value, 0
    with pytest.raises(PermanentError, match=f"'y' is {value} in data row 17.*{reason}"):
        fit(folder, rows, {"weights": "w"}, model={"family": family})
    rows[16, 2], rows[3, 2] = 0, 1
    result = fit(folder, rows, {"weights": "w"}, model={"family": family})
    assert result["n_rows"] == 299, "a row of weight 0 says nothing"


def test_counts_that_are_all_zero_are_refused(folder: Any):
    rows = drawn("poisson")
    rows[:, 4] = 0
    with pytest.raises(PermanentError, match="is 0 in every row"):
        fit(folder, rows, model={"family": "poisson"})


def test_counts_that_are_zero_in_all_rows_that_count_are_refused(folder: Any):
    rows = drawn("poisson")
    rows[:, 2] = rows[:, 4] == 0
    with pytest.raises(PermanentError, match="is 0 in every row"):
        fit(folder, rows, {"weights": "w"}, model={"family": "poisson"})


def test_a_target_whose_squares_are_no_numbers_is_refused(folder: Any):
    rows = drawn("gaussian")
    rows[:, 4] *= 1e200
    with pytest.raises(PermanentError, match="'y' are so large that their squares are no numbers; use another unit"):
        fit(folder, rows, model={"family": "gaussian"})
    rows[5, 2] = 0
    rows[:5, 4], rows[6:, 4] = rows[:5, 4] / 1e200, rows[6:, 4] / 1e200
    assert fit(folder, rows, {"weights": "w"}, model={"family": "gaussian"})["outcome"] == "converged"


@pytest.mark.parametrize("value", [0.0, 0.1, 3.5])
def test_a_target_that_never_changes_is_fitted_by_the_intercept(folder: Any, value: float):
    rows = drawn("gaussian")
    rows[:, 4] = value
    result = fit(folder, rows, model={"family": "gaussian"})
    assert result["outcome"] == "converged"
    assert estimates(result) == pytest.approx([value, 0, 0], abs=1e-12)


def test_weights_that_leave_one_class_are_refused(folder: Any):
    rows = drawn("binomial")
    rows[:, 2] = rows[:, 4]
    with pytest.raises(PermanentError, match=r"every row of class 0\.0 has weight 0"):
        fit(folder, rows, {"weights": "w"})


def test_weights_too_large_to_add_up_are_refused(folder: Any):
    rows = drawn("binomial")
    rows[:, 2] = 1e308
    with pytest.raises(PermanentError, match=r"spec\.data\.weights: the sum"):
        fit(folder, rows, {"weights": "w"})


def test_numbers_too_large_to_square_are_refused_by_name(folder: Any):
    rows = drawn("binomial")
    rows[7, 0] = 1e300
    with pytest.raises(PermanentError, match="'a' are so large"):
        fit(folder, rows)


def test_a_target_of_numbers_is_not_guessed_at(folder: Any):
    with pytest.raises(PermanentError, match=r"set model\.family to gaussian, log-linear or poisson"):
        fit(folder, drawn("gaussian"))


def test_class_weights_count_as_weights_of_rows(folder: Any):
    rows = drawn("binomial")
    weighed = fit(folder, rows, model={"class_weights": {"1.0": 2.5}})
    rows[:, 2] = np.where(rows[:, 4] == 1, 2.5, 1.0)
    by_rows = fit(folder, rows, {"weights": "w"}, preprocess={"standardize": False})
    assert estimates(weighed) == pytest.approx(estimates(by_rows), rel=1e-8)
    assert weighed["metrics"]["train"]["accuracy"] != pytest.approx(by_rows["metrics"]["train"]["accuracy"])


def test_balanced_classes_weigh_the_same(folder: Any):
    rows = drawn("binomial")
    result = fit(folder, rows, model={"class_weights": "balanced"}, preprocess={"standardize": False})
    share = rows[:, 4].mean()
    rows[:, 2] = np.where(rows[:, 4] == 1, 0.5 / share, 0.5 / (1 - share))
    by_rows = fit(folder, rows, {"weights": "w"}, preprocess={"standardize": False})
    assert estimates(result) == pytest.approx(estimates(by_rows), rel=1e-8)


def test_a_class_weight_for_no_class_is_refused(folder: Any):
    with pytest.raises(PermanentError, match=r"no class 'yes'; it has: '0\.0', '1\.0'") as failed:
        fit(folder, drawn("binomial"), model={"class_weights": {"yes": 2.0}})
    assert [fault["field"] for fault in failed.value.details["faults"]] == ["spec.model.class_weights.yes"]


SLOW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FAMILIES = st.sampled_from(["binomial", "gaussian", "poisson", "log-linear"])
PENALTIES = st.sampled_from([{"l2": 0.01}, {"l1": 0.01}, {"l1": 0.01, "l2": 0.02}])


@SLOW
@given(family=FAMILIES, penalty=PENALTIES, seed=st.integers(0, 1000))
def test_the_order_of_rows_means_nothing(folder: Any, family: str, penalty: dict[str, float], seed: int):
    rows = drawn(family, 80, seed)
    shuffled = np.random.default_rng(seed).permutation(rows)
    one, other = (fit(folder, r, model={"family": family}, penalty=penalty) for r in (rows, shuffled))
    assert estimates(one) == pytest.approx(estimates(other), rel=1e-5, abs=1e-7)


@SLOW
@given(family=FAMILIES, penalty=PENALTIES, seed=st.integers(0, 1000))
def test_a_row_written_twice_is_a_row_of_weight_2(folder: Any, family: str, penalty: dict[str, float], seed: int):
    rows = drawn(family, 80, seed)
    rows[:, 2] = np.random.default_rng(seed).integers(0, 4, 80)
    repeated = np.repeat(rows, rows[:, 2].astype(int), axis=0)
    weighted = fit(folder, rows, {"weights": "w"}, model={"family": family}, penalty=penalty)
    written = fit(folder, repeated, model={"family": family}, penalty=penalty)
    assert estimates(weighted) == pytest.approx(estimates(written), rel=1e-5, abs=1e-7)


@SLOW
@given(family=FAMILIES, factor=st.floats(1e-3, 1e3), shift=st.floats(-100, 100), seed=st.integers(0, 1000))
def test_units_of_a_column_change_its_coefficient_alone(folder: Any, family: str, factor, shift, seed):
    rows = drawn(family, 120, seed)
    scaled = rows.copy()
    scaled[:, 0] = scaled[:, 0] * factor + shift
    one, other = (fit(folder, r, model={"family": family}, penalty={"l2": 0.01}) for r in (rows, scaled))
    c, a, b = estimates(other)
    assert [c + shift * a, a * factor, b] == pytest.approx(estimates(one), rel=1e-5, abs=1e-6)
