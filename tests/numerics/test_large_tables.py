"""Many rows: features that float32 holds exactly stay in it, and the estimates are those of float64."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gradline.storage import ArtifactStore
from tests.numerics.attempts import MemoryAttempt, train
from tests.unit.data.uploads import ID, stored

N = 120_000


def table(type_name: str = "float32", n: int = N, n_more: int = 0, log_odds: float = -0.5) -> pa.Table:
    generator = torch.Generator().manual_seed(1)
    x_n3 = torch.randn(n, 3, generator=generator) * torch.tensor([1.0, 30.0, 0.01]) + torch.tensor([0.0, 1000.0, 5.0])
    z_n = x_n3[:, 0] - 0.02 * (x_n3[:, 1] - 1000) + 50 * (x_n3[:, 2] - 5) + log_odds
    y_n = torch.rand(n, generator=generator) < torch.sigmoid(z_n)
    columns: dict[str, Any] = {name: pa.array(x_n3[:, j].numpy()).cast(type_name) for j, name in enumerate("abc")}
    columns |= {f"more {j}": torch.randn(n, generator=generator).exp().numpy() for j in range(n_more)}
    return pa.table(
        columns | {"k": pa.array(range(n), pa.int64()), "level": ["u", "v", "w"] * (n // 3), "y": y_n.numpy()}
    )


def parquet(rows: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(rows, file)
    return file.getvalue()


def fitted(tmp_path: Any, file: bytes, format: str = "parquet", **spec: Any) -> dict[str, Any]:  # noqa: A002
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    attempt.uploads[ID] = stored(attempt.store, file, format)
    source = {"source": "dataset", "dataset_id": ID, "target": "y"} | spec.pop("data", {})
    return train(attempt, data=source, report={"plots": []}, **spec)[0]


@pytest.mark.parametrize(("n_more", "log_odds"), [(0, -0.5), (10, -0.5), (22, -0.5), (10, -5.0)])
def test_estimates_in_float32_are_those_in_float64(tmp_path: Any, n_more: int, log_odds: float):
    data = parquet(table(n_more=n_more, log_odds=log_odds))
    single, double = fitted(tmp_path, data), fitted(tmp_path, data, dtype="float64")
    assert (single["dtype"], double["dtype"]) == ("float32", "float64")
    pairs = zip(
        single["coefficients"] + single["intercepts"], double["coefficients"] + double["intercepts"], strict=True
    )
    for one, two in pairs:
        assert abs(one["estimate"] - two["estimate"]) < 1e-6 * two["std_error"], one
        assert one["std_error"] == pytest.approx(two["std_error"], rel=1e-6), one
    assert single["metrics"]["train"]["log_loss"] == pytest.approx(double["metrics"]["train"]["log_loss"], rel=1e-8)


def test_standard_errors_in_float32_have_six_digits_where_columns_nearly_repeat_each_other(tmp_path: Any):
    rows = table(n_more=16)
    near = rows.column("a").to_numpy() + 0.01 * torch.randn(N, generator=torch.Generator().manual_seed(2)).numpy()
    data = parquet(rows.append_column("near", pa.array(near)))
    single, double = fitted(tmp_path, data), fitted(tmp_path, data, dtype="float64")
    assert (single["dtype"], double["dtype"]) == ("float32", "float64")
    for one, two in zip(single["coefficients"], double["coefficients"], strict=True):
        assert one["std_error"] == pytest.approx(two["std_error"], rel=1e-6), one


def test_three_classes_in_float32_are_those_in_float64(tmp_path: Any):
    rows = table(n_more=16)
    thirds = torch.randint(0, 3, (N,), generator=torch.Generator().manual_seed(2)).numpy() * rows.column("y").to_numpy()
    data = parquet(rows.set_column(rows.column_names.index("y"), "y", pa.array(thirds)))
    single, double = fitted(tmp_path, data, dtype="float32"), fitted(tmp_path, data)
    assert (single["dtype"], double["dtype"]) == ("float32", "float64")
    for one, two in zip(single["coefficients"], double["coefficients"], strict=True):
        assert abs(one["estimate"] - two["estimate"]) < 1e-5 * two["std_error"], one
        assert one["std_error"] == pytest.approx(two["std_error"], rel=1e-6), one


def test_standard_errors_of_a_fit_within_tolerance_are_those_at_the_minimum(tmp_path: Any):
    generator = torch.Generator().manual_seed(3)
    x_nd = torch.randn(N, 30, generator=generator, dtype=torch.float64)
    x_nd[:, ::2] = (2 * x_nd[:, ::2]).exp()
    z_n = 0.2 * ((x_nd - x_nd.mean(0)) / x_nd.std(0) @ torch.randn(30, generator=generator, dtype=torch.float64))
    columns = {f"x{j}": x_nd[:, j].numpy() for j in range(30)}
    data = parquet(pa.table(columns | {"y": torch.poisson(z_n.clamp(max=3).exp(), generator=generator).numpy()}))
    near, at = (
        fitted(tmp_path, data, model={"family": "poisson"}, stop={"tolerance": tolerance})
        for tolerance in (1e-6, 1e-12)
    )
    assert near["certificate"]["passes"] < at["certificate"]["passes"]
    for one, two in zip(near["coefficients"], at["coefficients"], strict=True):
        assert one["std_error"] == pytest.approx(two["std_error"], rel=1e-6), one


@pytest.mark.parametrize(
    "spec",
    [
        {"dtype": "float64"},
        {"solver": {"name": "lbfgs"}},
        {"penalty": {"l1": 0.01}},
        {"data": {"weights": "k"}},
        {"model": {"class_weights": "balanced"}},
        {"model": {"fit_intercept": False}},
        {"preprocess": {"standardize": False}},
        {"preprocess": {"interactions": [["a", "b"]]}},
        {"preprocess": {"sparse": True}},
    ],
    ids=str,
)
def test_what_float32_is_not_tested_for_is_fitted_in_float64(tmp_path: Any, spec: dict[str, Any]):
    assert fitted(tmp_path, parquet(table()), **spec)["dtype"] == "float64"


def test_columns_that_float32_would_round_are_fitted_in_float64(tmp_path: Any):
    assert fitted(tmp_path, parquet(table("float64")))["dtype"] == "float64"
    beyond = table().set_column(3, "k", pa.array(range(2**24 - N + 2, 2**24 + 2)))
    assert fitted(tmp_path, parquet(beyond))["dtype"] == "float64"


def test_levels_that_make_sparse_features_are_fitted_in_float64(tmp_path: Any):
    rows = table().append_column("word", pa.array([f"w{i * i % 1009}" for i in range(N)]))
    none = {"inference": {"std_errors": "none"}, "penalty": {"l2": 0.01}}
    assert fitted(tmp_path, parquet(rows), **none)["dtype"] == "float64"
    few = {"max_levels": 9}
    assert fitted(tmp_path, parquet(rows), **none, preprocess=few)["dtype"] == "float32"


def test_few_rows_are_fitted_in_float64(tmp_path: Any):
    assert fitted(tmp_path, parquet(table(n=300)))["dtype"] == "float64"


def test_whole_numbers_of_a_csv_are_fitted_in_float32(tmp_path: Any):
    rows = "".join(f"{i % 17},{(i * 7) % 11},{int((i * i) % 23 > i % 17)}\n" for i in range(N))
    assert fitted(tmp_path, f"a,b,y\n{rows}".encode(), "csv")["dtype"] == "float32"


def test_a_column_that_rises_through_the_file_is_standardised_by_all_rows(tmp_path: Any):
    rows = table()
    rows = rows.append_column("rising", pa.array([1e4 + (i / 1e3) ** 2 for i in range(N)], pa.float32()))
    single, double = fitted(tmp_path, parquet(rows)), fitted(tmp_path, parquet(rows), dtype="float64")
    assert (single["dtype"], double["dtype"]) == ("float32", "float64")
    for one, two in zip(single["coefficients"], double["coefficients"], strict=True):
        assert abs(one["estimate"] - two["estimate"]) < 1e-5 * two["std_error"], one
