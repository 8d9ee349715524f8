# ruff: noqa: E501  a program, or a row of a table, is easier to read on one line
"""Every classic error is answered with its line, its cause in this program, and a corrected program that runs."""

from dataclasses import dataclass

import pytest

from tests.unit.autograd.conftest import lesson


@dataclass(frozen=True)
class Classic:
    name: str
    program: str
    line: int
    """Where it fails."""
    says: tuple[str, ...]
    """Pieces of the diagnosis."""
    mend_line: int
    mend: str


CLASSICS = [
    Classic(
        "gradient of a gradient that was taken without its graph",
        "x = torch.tensor(3., requires_grad=True)\ny = x ** 3\ndy = torch.autograd.grad(y, x)[0]\nd2y = torch.autograd.grad(dy, x)[0]",
        4,
        ("line 3", "create_graph=True"),
        3,
        "dy = torch.autograd.grad(y, x, create_graph=True)[0]",
    ),
    Classic(
        "a parameter bound anew under no_grad",
        "w = torch.tensor(1., requires_grad=True)\nfor i in range(2):\n    (w * 2).backward()\n    with torch.no_grad():\n        w = w - 0.1 * w.grad\n    w.grad.zero_()",
        6,
        ("`w = w - 0.1 * w.grad`", "in place of the leaf"),
        5,
        "        w -= 0.1 * w.grad",
    ),
    Classic(
        "losses copied into a tensor, in a function",
        "w = torch.tensor(2., requires_grad=True)\ndef total(xs):\n    return torch.tensor([w * x for x in xs]).sum()\ntotal([1., 2.]).backward()",
        4,
        ("`torch.tensor` copies the number",),
        3,
        "    return torch.stack([w * x for x in xs]).sum()",
    ),
    Classic(
        "raw scores given to a loss of probabilities, in a module",
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(2, 1)\n    def forward(self, x):\n        return self.fc(x) + 9\nloss = nn.BCELoss()(Net()(torch.ones(1, 2)), torch.ones(1, 1))",
        7,
        ("takes probabilities",),
        7,
        "loss = nn.BCEWithLogitsLoss()(Net()(torch.ones(1, 2)), torch.ones(1, 1))",
    ),
    Classic(
        "requires_grad of a result set",
        "x = torch.ones(2, requires_grad=True)\ny = x * 2\ny.requires_grad = False",
        3,
        ("only a leaf's flag can be set",),
        3,
        "y = y.detach()",
    ),
    Classic(
        "second backward",
        "x = torch.tensor(2., requires_grad=True)\ny = x ** 2\ny.backward()\ny.backward()",
        4,
        ("`y.backward()` on line 3", "freed", "PowBackward0 of line 2"),
        3,
        "y.backward(retain_graph=True)",
    ),
    Classic(
        "second backward in a loop",
        "x = torch.tensor(2., requires_grad=True)\ny = x ** 2\nfor i in range(3):\n    y.backward()",
        4,
        ("in an earlier turn of the loop", "compute the result anew"),
        4,
        "    y.backward(retain_graph=True)",
    ),
    Classic(
        "leaf updated in place",
        "w = torch.tensor([1.], requires_grad=True)\n(w * 2).sum().backward()\nw -= 0.1 * w.grad",
        3,
        ("`w` is a leaf", "`torch.no_grad()`"),
        3,
        "with torch.no_grad():\n    w -= 0.1 * w.grad",
    ),
    Classic(
        "leaf changed in place by a method",
        "w = torch.tensor([1.], requires_grad=True)\nw.add_(1)",
        2,
        ("`w` is a leaf",),
        2,
        "w = w.add(1)",
    ),
    Classic(
        "element of a leaf assigned",
        "w = torch.tensor([1., 2.], requires_grad=True)\nw[0] = 5",
        2,
        ("a view of a leaf",),
        2,
        "w = w.clone()\nw[0] = 5",
    ),
    Classic(
        "saved value changed",
        "x = torch.tensor([1., 2.], requires_grad=True)\ny = x.exp()\nz = y ** 2\ny += 1\nz.sum().backward()",
        5,
        ("PowBackward0", "`z = y ** 2` on line 3", "`y += 1` on line 4"),
        4,
        "y = y + 1",
    ),
    Classic(
        "saved result changed",
        "x = torch.tensor([1., 2.], requires_grad=True)\ny = torch.sigmoid(x)\ny[0] = 3\ny.sum().backward()",
        4,
        ("SigmoidBackward0", "on line 2", "`y[0] = 3` on line 3"),
        3,
        "y = y.clone()\ny[0] = 3",
    ),
    Classic(
        "saved leaf changed under no_grad",
        "x = torch.tensor([1., 2.], requires_grad=True)\ny = x ** 2\nwith torch.no_grad():\n    x += 1\ny.sum().backward()",
        5,
        ("`x` had", "on line 2", "`x += 1` on line 4"),
        3,
        "y.sum().backward()\nwith torch.no_grad():\n    x += 1",
    ),
    Classic(
        "backward of a vector",
        "x = torch.tensor([1., 2.], requires_grad=True)\ny = x ** 2\ny.backward()",
        3,
        ("`y` of shape (2,)", "vector-Jacobian product"),
        3,
        "y.backward(gradient=torch.ones_like(y))",
    ),
    Classic(
        "grad of a vector",
        "x = torch.tensor([1., 2.], requires_grad=True)\ny = x ** 2\ng = torch.autograd.grad(y, x)",
        3,
        ("`y` of shape (2,)",),
        3,
        "g = torch.autograd.grad(y, x, grad_outputs=torch.ones_like(y))",
    ),
    Classic(
        "nothing requires grad",
        "x = torch.tensor([1., 2.])\nk = torch.tensor(3.)\ny = (k * x ** 2).sum()\ny.backward()\nprint(x.grad)",
        4,
        ("`y` was computed only from tensors that do not require grad",),
        1,
        "x = torch.tensor([1., 2.], requires_grad=True)",
    ),
    Classic(
        "cut by detach",
        "x = torch.tensor([1., 2.], requires_grad=True)\ny = (x.detach() ** 2).sum()\ny.backward()",
        3,
        ("on line 2 took `x` out of it",),
        2,
        "y = (x ** 2).sum()",
    ),
    Classic(
        "cut by item",
        "x = torch.tensor(2., requires_grad=True)\nv = x.item()\ny = torch.tensor(v) ** 2\ny.backward()",
        4,
        ("`v = x.item()` on line 2 took `x` out of it",),
        3,
        "y = x ** 2",
    ),
    Classic(
        "cut by data",
        "x = torch.tensor(2., requires_grad=True)\ny = x.data * 3\ny.backward()",
        3,
        ("`y = x.data * 3` on line 2",),
        2,
        "y = x * 3",
    ),
    Classic(
        "computed under no_grad",
        "x = torch.tensor(2., requires_grad=True)\nwith torch.no_grad():\n    y = x * 2\ny.backward()",
        4,
        ("on line 3", "no_grad"),
        2,
        "with torch.enable_grad():",
    ),
    Classic(
        "unused input",
        "x = torch.tensor(2., requires_grad=True)\nz = torch.tensor(2., requires_grad=True)\ny = x * 2\n"
        "g = torch.autograd.grad(y, [x, z])",
        4,
        ("`y` was not computed from `z`",),
        4,
        "g = torch.autograd.grad(y, [x, z], allow_unused=True)",
    ),
    Classic(
        "grad of a non-leaf",
        "x = torch.tensor(2., requires_grad=True)\na = x * 2\n(a * 2).backward()\na.grad.zero_()",
        4,
        ("`a` is no leaf", "`a = x * 2` on line 2"),
        2,
        "a = x * 2\na.retain_grad()",
    ),
    Classic(
        "parameter rebound",
        "w = torch.tensor(2., requires_grad=True)\nfor i in range(3):\n    (w * 2).backward()\n    w = w - 0.1 * w.grad",
        4,
        ("`w` is no leaf any more", "on line 4"),
        4,
        "    with torch.no_grad():\n        w -= 0.1 * w.grad",
    ),
    Classic(
        "zeroed before the first backward",
        "w = torch.tensor(2., requires_grad=True)\nw.grad.zero_()\n(w * 2).backward()",
        2,
        ("no backward pass has reached `w`",),
        2,
        "if w.grad is not None:\n    w.grad.zero_()",
    ),
    Classic(
        "whole numbers",
        "x = torch.tensor([1, 2, 3], requires_grad=True)",
        1,
        ("whole numbers",),
        1,
        "x = torch.tensor([1., 2., 3.], requires_grad=True)",
    ),
    Classic(
        "whole numbers, asked later",
        "x = torch.ones(3, dtype=torch.int64)\nx.requires_grad_()",
        2,
        ("whole numbers",),
        1,
        "x = torch.ones(3, dtype=torch.float32)",
    ),
    Classic(
        "matrix shapes",
        "a = torch.ones(2, 3)\nb = torch.ones(2, 3)\nc = a @ b",
        3,
        ("`a` has shape (2, 3), `b` has shape (2, 3)",),
        3,
        "c = a @ b.T",
    ),
    Classic(
        "a device that is not there",
        'x = torch.ones(3, device="cuda:7")',
        1,
        ("two devices", "this worker does not have"),
        1,
        'x = torch.ones(3, device="cpu")',
    ),
    Classic(
        "numpy of what requires grad",
        "x = torch.ones(3, requires_grad=True)\nprint(x.numpy())",
        2,
        ("leave it",),
        2,
        "print(x.detach().numpy())",
    ),
    Classic(
        "gradient of another shape",
        "x = torch.ones(3, requires_grad=True)\ny = x * 2\ny.backward(torch.ones(2))",
        3,
        ("`y` has shape (3,), the gradient given has shape (2,)",),
        3,
        "y.backward(torch.ones_like(y))",
    ),
    Classic(
        "grad by what does not require it",
        "x = torch.tensor(3.0)\nw = torch.tensor(4.0, requires_grad=True)\nz = x * w\ng = torch.autograd.grad(z, x)",
        4,
        ("`x`", "did not require grad"),
        1,
        "x = torch.tensor(3.0, requires_grad=True)",
    ),
    Classic(
        "types that do not meet",
        "a = torch.ones(2, 2)\nb = torch.ones(2, 2, dtype=torch.float64)\nc = a @ b",
        3,
        ("`a` is float32, `b` is float64",),
        3,
        "c = a.double() @ b",
    ),
]


@pytest.mark.parametrize("classic", CLASSICS, ids=lambda classic: classic.name)
def test_a_classic_error_is_diagnosed_and_mended(classic: Classic) -> None:
    result = lesson(classic.program)
    error = result["error"]
    assert result["outcome"] == "raised"
    assert error["line"] == classic.line
    for piece in classic.says:
        assert piece in error["diagnosis"]
    assert (error["mend_line"], error["mend"]) == (classic.mend_line, classic.mend)


@pytest.mark.parametrize("classic", CLASSICS, ids=lambda classic: classic.name)
def test_the_mended_program_completes(classic: Classic) -> None:
    mended = lesson(lesson(classic.program)["error"]["mended_program"])
    assert mended["outcome"] == "completed", mended["error"]


def test_an_error_in_a_function_is_placed_in_the_function() -> None:
    error = lesson("def f(a):\n    b = a * 2\n    return b @ torch.ones(4)\nf(torch.ones(3))")["error"]
    assert (error["line"], error["column"]) == (3, 12)


def test_the_first_value_that_is_not_finite_is_found() -> None:
    hints = lesson(
        "x = torch.tensor([0., 1.], requires_grad=True)\ny = x + 1\nz = torch.log(x)\nw = z * y\nw.sum().backward()"
    )["hints"]
    assert (hints[0]["code"], hints[0]["line"]) == ("not_finite", 3)


def test_forgotten_zeroing_is_a_hint_and_zeroing_silences_it() -> None:
    program = "w = torch.tensor(1., requires_grad=True)\nfor i in range(3):\n    (w * 5).backward()\n"
    hint = lesson(program)["hints"][0]
    assert (hint["code"], hint["line"], hint["mend"]) == ("accumulated", 3, "w.grad.zero_()")
    assert "already held 5" in hint["text"]
    assert "became 10" in hint["text"]
    assert lesson(program + "    w.grad.zero_()\n")["hints"] == []


def test_grad_of_a_non_leaf_is_a_hint() -> None:
    hint = lesson("x = torch.tensor(1., requires_grad=True)\na = x * 2\n(a * 3).backward()\nprint(a.grad)")["hints"][0]
    assert (hint["code"], hint["line"]) == ("grad_of_non_leaf", 4)
    assert "line 2" in hint["text"]
