"""Columns that nearly repeat each other: NIST's Statistical Reference Datasets, and what exact arithmetic says."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from tests.numerics.inference.conftest import Run
from tests.numerics.inference.test_results import entries

FILIP_X = """
-6.860120914 -4.324130045 -4.358625055 -4.358426747 -6.955852379 -6.661145254 -6.355462942 -6.118102026
-7.115148017 -6.815308569 -6.519993057 -6.204119983 -5.853871964 -6.109523091 -5.79832982 -5.482672118
-5.171791386 -4.851705903 -4.517126416 -4.143573228 -3.709075441 -3.499489089 -6.300769497 -5.953504836
-5.642065153 -5.031376979 -4.680685696 -4.329846955 -3.928486195 -8.56735134 -8.363211311 -8.107682739
-7.823908741 -7.522878745 -7.218819279 -6.920818754 -6.628932138 -6.323946875 -5.991399828 -8.781464495
-8.663140179 -8.473531488 -8.247337057 -7.971428747 -7.676129393 -7.352812702 -7.072065318 -6.774174009
-6.478861916 -6.159517513 -6.835647144 -6.53165267 -6.224098421 -5.910094889 -5.598599459 -5.290645224
-4.974284616 -4.64454848 -4.290560426 -3.885055584 -3.408378962 -3.13200249 -8.726767166 -8.66695597
-8.511026475 -8.165388579 -7.886056648 -7.588043762 -7.283412422 -6.995678626 -6.691862621 -6.392544977
-6.067374056 -6.684029655 -6.378719832 -6.065855188 -5.752272167 -5.132414673 -4.811352704 -4.098269308
-3.66174277 -3.2644011
"""
FILIP_Y = """
0.8116 0.9072 0.9052 0.9039 0.8053 0.8377 0.8667 0.8809 0.7975 0.8162 0.8515 0.8766 0.8885 0.8859 0.8959
0.8913 0.8959 0.8971 0.9021 0.909 0.9139 0.9199 0.8692 0.8872 0.89 0.891 0.8977 0.9035 0.9078 0.7675 0.7705
0.7713 0.7736 0.7775 0.7841 0.7971 0.8329 0.8641 0.8804 0.7668 0.7633 0.7678 0.7697 0.77 0.7749 0.7796 0.7897
0.8131 0.8498 0.8741 0.8061 0.846 0.8751 0.8856 0.8919 0.8934 0.894 0.8957 0.9047 0.9129 0.9209 0.9219 0.7739
0.7681 0.7665 0.7703 0.7702 0.7761 0.7809 0.7961 0.8253 0.8602 0.8809 0.8301 0.8664 0.8834 0.8898 0.8964
0.8963 0.9074 0.9119 0.9228
"""

FILIP = [
    (-1467.48961422980, 298.084530995537),
    (-2772.17959193342, 559.779865474950),
    (-2316.37108160893, 466.477572127796),
    (-1127.97394098372, 227.204274477751),
    (-354.478233703349, 71.6478660875927),
    (-75.1242017393757, 15.2897178747400),
    (-10.8753180355343, 2.23691159816033),
    (-1.06221498588947, 0.221624321934227),
    (-0.0670191154593408, 0.0142363763154724),
    (-0.00246781078275479, 0.000535617408889821),
    (-0.0000402962525080404, 0.00000896632837373868),
]
"""Certified: estimate and standard error of each power, from the 0th."""
GAUSSIAN = {"model": {"family": "gaussian"}}


def powers(x: np.ndarray, y: np.ndarray, degree: int) -> pd.DataFrame:
    return pd.DataFrame({f"x{k:02}": x**k for k in range(1, degree + 1)} | {"y": y})


def told_of(result: dict) -> np.ndarray:
    """Estimate and standard error of each power, from the 0th."""
    told = sorted(
        (name if name != "const" else "x00", e["estimate"], e["std_error"]) for name, e in entries(result).items()
    )
    return np.array([entry[1:] for entry in told], dtype=float)


def exact(x_np: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Estimates and standard errors of least squares on these very numbers, by Gauss and Jordan on fractions."""
    rows, targets, q = (
        [[Fraction(v) for v in row] for row in x_np.tolist()],
        [Fraction(v) for v in y.tolist()],
        x_np.shape[1],
    )
    gram = [[sum(r[i] * r[j] for r in rows) for j in range(q)] for i in range(q)]
    moment = [sum(r[i] * t for r, t in zip(rows, targets, strict=True)) for i in range(q)]
    table = [[*gram[i], moment[i], *(Fraction(i == j) for j in range(q))] for i in range(q)]
    for k in range(q):
        table[k] = [entry / table[k][k] for entry in table[k]]
        for i in set(range(q)) - {k}:
            table[i] = [a - table[i][k] * b for a, b in zip(table[i], table[k], strict=True)]
    theta = [table[i][q] for i in range(q)]
    squares = [(t - sum(a * b for a, b in zip(r, theta, strict=True))) ** 2 for r, t in zip(rows, targets, strict=True)]
    variance = sum(squares) / (len(rows) - q)
    return np.array([[float(theta[i]), float(table[i][q + 1 + i] * variance) ** 0.5] for i in range(q)])


@pytest.mark.parametrize("solver", ["auto", "newton"])
def test_the_polynomial_of_filip_has_the_certified_coefficients_and_errors(run: Run, solver: str):
    table = powers(np.array(FILIP_X.split(), dtype=float), np.array(FILIP_Y.split(), dtype=float), 10)
    result, attempt = run(table, **GAUSSIAN, solver={"name": solver})
    assert (result["outcome"], result["steps"], result["certificate"]["passes"]) == ("converged", 2, 3)
    assert result["certificate"]["relative_gap"] < 1e-12
    assert result["certificate"]["reference"] is None  # normal equations, which do not converge
    assert (result["collinearity"]["dependent"], result["collinearity"]["rank"]) == ([], 10)
    assert "collinear_columns" not in attempt.warnings
    np.testing.assert_allclose(told_of(result), FILIP, rtol=1e-6)
    assert result["inference"]["sigma"] == pytest.approx(0.00334801051324544, rel=1e-8)
    assert result["inference"]["r_squared"] == pytest.approx(0.996727416185620, rel=1e-10)


def test_the_polynomial_of_wampler5_is_that_of_exact_arithmetic(run: Run):
    x = np.arange(21.0)
    noise = np.array([759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048, 2048])
    y = sum(x**k for k in range(6)) + 100 * np.concatenate((noise, noise[-2::-1]))
    result, _ = run(powers(x, y, 5), **GAUSSIAN)
    assert result["outcome"] == "converged"
    np.testing.assert_allclose(told_of(result), exact(np.vander(x, 6, increasing=True), y), rtol=1e-8)


def test_weighted_rows_count_as_often_as_they_weigh(run: Run):
    draw = np.random.default_rng(3)
    x, weight = draw.uniform(-9, -3, 60), draw.integers(1, 4, 60)
    table = powers(x, np.sin(x) + draw.normal(0, 0.01, 60), 9)
    repeated = table.loc[np.repeat(table.index, weight)]
    result, _ = run(table.assign(w=weight), {"weights": "w"}, **GAUSSIAN)
    x_np = np.column_stack((np.ones(len(repeated)), repeated.drop(columns="y").to_numpy()))
    np.testing.assert_allclose(told_of(result), exact(x_np, repeated.y.to_numpy()), rtol=1e-6)


def test_a_polynomial_that_leaves_no_residual_has_its_coefficients(run: Run):
    x = np.arange(21.0)
    result, _ = run(powers(x, sum(x**k for k in range(6)), 5), **GAUSSIAN)
    assert result["outcome"] == "converged"
    np.testing.assert_allclose(told_of(result)[:, 0], 1.0, rtol=1e-6)


@pytest.mark.parametrize("far", [0.0, 2000.0, 1e6])
def test_a_sum_that_is_rounded_is_still_a_combination_however_far_from_zero(run: Run, far: float):
    draw = np.random.default_rng(4)
    table = pd.DataFrame(draw.normal(far, 1, (80, 3)), columns=["a", "b", "other"])
    table["constant"] = 0.1
    table["y"] = table.a + draw.normal(size=80)
    without, _ = run(table, **GAUSSIAN)
    table["sum"] = table.a + table.b / 3
    result, attempt = run(table, **GAUSSIAN)
    assert result["outcome"] == "converged"
    assert [set(group["of"]) | {group["feature"]} for group in result["collinearity"]["dependent"]] == [
        {"a", "b", "sum"}
    ]
    assert "collinear_columns" in attempt.warnings
    told = entries(result)
    assert {name for name, entry in told.items() if entry["std_error"] is None} >= {"a", "b", "sum"}
    assert told["other"]["std_error"] == pytest.approx(entries(without)["other"]["std_error"], rel=1e-6)
    assert told["other"]["estimate"] == pytest.approx(entries(without)["other"]["estimate"], rel=1e-6)
    assert result["inference"]["df_model"] == 3
