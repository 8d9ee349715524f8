# ruff: noqa: E501  a program, or a row of a table, is easier to read on one line
"""Gradients are compared with finite differences, and only where the comparison is fair."""

import pytest

from tests.unit.autograd.conftest import lesson


def statuses(text: str) -> list[str]:
    return [check["status"] for check in lesson(text)["gradient_checks"]]


def test_every_gradient_of_a_pass_is_checked_with_its_numbers() -> None:
    checks = lesson(
        "w = torch.tensor([1., 2.], requires_grad=True)\nx = torch.tensor(3., requires_grad=True)\n(w.prod() * x ** 2).backward()"
    )["gradient_checks"]
    assert {check["of"]: check["autograd"] for check in checks} == {"w": [18.0, 9.0], "x": [12.0]}
    assert [check["status"] for check in checks] == ["agrees", "agrees"]
    assert checks[0]["numeric"] == pytest.approx(checks[0]["autograd"], rel=1e-6)


def test_a_wrong_backward_of_the_programs_own_differs() -> None:
    text = """
class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
    @staticmethod
    def backward(ctx, g):
        return g * 3
x = torch.tensor(1., requires_grad=True)
Twice.apply(x).backward()
"""
    assert statuses(text) == ["differs"]
    assert lesson(text)["hints"][0]["code"] == "gradient_differs"


@pytest.mark.parametrize(
    "kink", ["F.relu(x)", "x.abs()", "x.clamp(min=0)", "torch.max(x, torch.zeros(()))", "x.norm()"]
)
def test_at_a_kink_the_check_says_so(kink: str) -> None:
    assert statuses(f"x = torch.tensor(0., requires_grad=True)\ny = {kink}\ny.backward()") == [
        "not differentiable here"
    ]


@pytest.mark.parametrize(
    "smooth", ["x ** 4", "torch.exp(-x * x)", "torch.sin(30 * x)", "(x * 1e4) ** 2", "F.softplus(5 * x)"]
)
def test_a_curved_function_is_not_taken_for_a_kink(smooth: str) -> None:
    assert statuses(f"x = torch.tensor(0.3, requires_grad=True)\ny = {smooth}\ny.backward()") == ["agrees"]


def test_what_is_detached_stays_constant_on_both_sides() -> None:
    assert statuses("x = torch.tensor(2., requires_grad=True)\ny = x.detach() * x\ny.backward()") == ["agrees"]


def test_second_derivatives_are_checked() -> None:
    text = (
        "x = torch.tensor(2., requires_grad=True)\ng, = torch.autograd.grad(x ** 3, x, create_graph=True)\ng.backward()"
    )
    assert statuses(text) == ["agrees", "agrees"]


def test_values_from_before_a_change_in_place_are_used() -> None:
    text = """
w = torch.tensor(1., requires_grad=True)
for i in range(3):
    (w ** 2).backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
    w.grad = None
"""
    checks = lesson(text)["gradient_checks"]
    assert [check["status"] for check in checks] == ["agrees"] * 3
    assert checks[1]["autograd"] == pytest.approx([1.6])


def test_in_place_operations_within_the_graph_are_repeated() -> None:
    text = "x = torch.tensor([1., 2.], requires_grad=True)\ny = x * 2\ny.mul_(3)\ny[0] = x[1]\ny.sum().backward()"
    assert statuses(text) == ["agrees"]


@pytest.mark.parametrize(
    "call",
    [
        "torch.func.grad(f)(x)",
        "torch.func.jacrev(g)(x)",
        "torch.func.jacfwd(g)(x)",
        "torch.func.hessian(f)(x)",
        "torch.autograd.functional.jacobian(g, x)",
        "torch.autograd.functional.hessian(f, x)",
        "torch.func.vjp(g, x)[1](torch.tensor([1., -2.]))",
        "torch.func.jvp(g, (x,), (torch.tensor([1., -2.]),))",
    ],
)
def test_transforms_are_checked_against_the_function_in_float64(call: str) -> None:
    text = f"x = torch.tensor([0.5, 2.])\nf = lambda v: (v ** 3).sum() * v[0]\ng = lambda v: v.exp() * v[1]\nr = {call}"
    assert statuses(text) == ["agrees"]


def test_random_operations_are_skipped_with_the_reason() -> None:
    check = lesson("x = torch.ones(9, requires_grad=True)\nF.dropout(x).sum().backward()")["gradient_checks"][0]
    assert check["status"] == "skipped"
    assert "random" in check["reason"]


def test_scalar_expressions_come_with_the_derivative_in_symbols() -> None:
    (found,) = lesson("x = torch.tensor(3., requires_grad=True)\ny = x ** 2 * torch.sin(x)\ny.backward()")["symbolic"]
    assert found["of"] == "x"
    assert found["derivative"] in ("x**2*cos(x) + 2*x*sin(x)", "x*(x*cos(x) + 2*sin(x))")
    assert found["value"] == pytest.approx(found["autograd"], rel=1e-5)


def test_gradients_that_are_not_checked_are_counted_with_the_reason() -> None:
    text = "w = torch.tensor(1., requires_grad=True)\nfor i in range(70):\n    (w * i).backward()"
    told = lesson(text)
    assert len(told["gradient_checks"]) + told["gradient_checks_left_out"]["n"] == 70
    assert told["gradient_checks_left_out"]["reason"]
    assert lesson("x = torch.ones(1)")["gradient_checks_left_out"] == {"n": 0, "reason": None}
