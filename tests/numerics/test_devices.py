"""Where fits run, and features that pass over a device a part at a time."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from gradline.training import Family, Objective, Problem, make_problem
from gradline.training.derivatives import Want
from gradline.training.products import DenseProducts
from gradline.training.streaming import StreamedProducts, Window
from gradline.worker.kinds.regression_device import Load, choose_placement, load_of
from tests.numerics.attempts import regression_spec, train

GIB = 2**30


def problem_of(n: int, d: int) -> Problem:
    """Only its shape counts: every row is the same in memory."""
    return Problem(torch.zeros(1, d).expand(n, d), torch.zeros(1, 1).expand(n, 1), Family.BINOMIAL, has_intercept=False)


def placed(spec: dict[str, Any], n: int, d: int, lane: str = "gpu", free_bytes: int | None = 60 * GIB) -> Any:
    load = load_of(regression_spec(**spec), problem_of(n, d))
    return choose_placement(spec.get("device", "auto"), lane, load, free_bytes, can_stream=True)


def test_auto_takes_the_device_for_large_fits_and_leaves_small_ones_on_the_cpu() -> None:
    small, large = placed({}, 1000, 20), placed({}, 5_000_000, 200)
    assert (small.device.type, large.device.type) == ("cpu", "cuda")
    assert "s on the CPU" in small.reason
    assert "resident there" in large.reason
    assert not large.is_streamed


def test_many_steps_of_a_first_order_solver_are_counted() -> None:
    sgd = {"solver": {"name": "sgd"}, "report": {"every": 1000, "plots": []}}
    few = placed(sgd | {"stop": {"max_steps": 10}}, 100_000, 100)
    many = placed(sgd | {"stop": {"max_steps": 100_000}}, 100_000, 100)
    batches = placed(sgd | {"solver": {"name": "sgd", "batch_size": 32}, "stop": {"max_steps": 100_000}}, 100_000, 100)
    assert [p.device.type for p in (few, many, batches)] == ["cpu", "cuda", "cpu"]


def test_without_a_device_or_its_lane_auto_stays_on_the_cpu() -> None:
    for lane, free_bytes in (("gpu", None), ("cpu", 60 * GIB)):
        found = placed({}, 5_000_000, 200, lane, free_bytes)
        assert found.device.type == "cpu"
        assert f"{lane} lane has no CUDA device" in found.reason


def test_features_that_do_not_fit_pass_over_the_device() -> None:
    asked = placed({"device": "cuda"}, 5_000_000, 200, free_bytes=1 * GIB)
    assert (asked.device.type, asked.is_streamed) == ("cuda", True)
    load = Load(n_bytes=4 * GIB, n_steps=30, n_bytes_read=120.0 * GIB, n_products=1e13)
    assert choose_placement("auto", "gpu", load, GIB, can_stream=True).is_streamed
    assert choose_placement("auto", "gpu", load, GIB, can_stream=False).device.type == "cpu"


def test_the_result_says_why_a_fit_ran_where_it_did() -> None:
    assert train(data={"source": "blobs"})[0]["device_reason"] == "a worker of the cpu lane has no CUDA device."
    assert train(data={"source": "blobs"}, device="cpu")[0]["device_reason"] == "named in the spec."


@pytest.mark.gpu
@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_a_fit_on_a_device_ends_where_that_on_the_cpu_does(family: str) -> None:
    device_of("cuda")
    fields: dict[str, Any] = {"data": {"source": "builtin", "name": "diabetes"}, "model": {"family": family}}
    there, here = (train(**fields, device=name)[0] for name in ("cuda", "cpu"))
    estimates = [[c["estimate"] for c in result["coefficients"]] for result in (there, here)]
    assert estimates[0] == pytest.approx(estimates[1], rel=1e-6)


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def device_of(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.device(name)


@pytest.mark.parametrize("name", DEVICES)
def test_streamed_products_are_those_of_the_whole_matrix(name: str) -> None:
    device, stream = device_of(name), torch.Generator().manual_seed(0)
    x_np = torch.randn(103, 7, generator=stream, dtype=torch.float64)
    r_nm = torch.randn(103, 2, generator=stream, dtype=torch.float64).to(device)
    theta_pm = torch.randn(7, 2, generator=stream, dtype=torch.float64).to(device)
    streamed, whole = StreamedProducts(x_np, Window(x_np, device), 25), DenseProducts(x_np.to(device))
    for _ in range(2):
        for shape, method, given in (((103, 2), "predict", theta_pm), ((2, 7), "collect", r_nm)):
            ours, theirs = (torch.empty(shape, dtype=torch.float64, device=device) for _ in range(2))
            getattr(streamed, method)(given, ours)
            getattr(whole, method)(given, theirs)
            torch.testing.assert_close(ours, theirs)
        c_n1 = r_nm[:, :1].abs()
        for method in ("gram", "squares"):
            torch.testing.assert_close(getattr(streamed, method)(c_n1), getattr(whole, method)(c_n1))
    torch.testing.assert_close(streamed.highest(), whole.highest())
    assert streamed.highest_of_all().amax() == whole.highest_of_all().amax()
    assert streamed.radius() == pytest.approx(whole.radius())
    torch.testing.assert_close(streamed.block(20, 60), whole.block(20, 60))


class CountedWindow(Window):
    n_sent = 0

    def _send(self, start: int, n_rows: int) -> Any:
        self.n_sent += 1
        return super()._send(start, n_rows)


def test_all_that_a_step_asks_of_a_part_costs_one_transfer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradline.training.problem.CHUNK_BYTES", 50 * 7 * 8)
    x_nd = torch.randn(200, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    problem = make_problem(x_nd, (x_nd[:, 0] > 0).long(), Family.BINOMIAL)
    theta_bkp = torch.full((1, 1, 7), 0.1, dtype=torch.float64)
    expected = Objective(problem).derivatives(theta_bkp, Want.HESSIAN)
    window = CountedWindow(problem.x_np, torch.device("cpu"))
    monkeypatch.setattr(Problem, "is_streamed", True)
    streamed = replace(problem)
    streamed.__dict__["window"] = window
    objective = Objective(streamed)
    found = objective.derivatives(theta_bkp, Want.HESSIAN)
    assert window.n_sent <= 5, "four parts, and the first one again ahead of the next step"
    found = objective.derivatives(theta_bkp, Want.HESSIAN)
    assert window.n_sent <= 9
    torch.testing.assert_close(found.value_b, expected.value_b)
    torch.testing.assert_close(found.gradient_bkp, expected.gradient_bkp)
    torch.testing.assert_close(found.hessian_bqq, expected.hessian_bqq)
