# ruff: noqa: E501  a program, or a row of a table, is easier to read on one line
"""What goes wrong in training loops is answered with the line and the cause in this program, and a mend that runs."""

import pytest

from tests.unit.autograd.conftest import lesson
from tests.unit.autograd.test_diagnosis import Classic

NET = "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc1 = nn.Linear(10, 5)\n        self.fc2 = nn.Linear(3, 2)\n    def forward(self, x):\n        h = torch.relu(self.fc1(x))\n        return self.fc2(h)\nnet = Net()\nout = net(torch.randn(4, 10))\nout.sum().backward()"
OWN = "class Own(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, a, b):\n        ctx.save_for_backward(a, b)\n        return a * b\n    @staticmethod\n    def backward(ctx, g):\n        a, b = ctx.saved_tensors\n        return {}\na = torch.tensor(2., requires_grad=True)\nOwn.apply(a, torch.tensor(3.)).backward()"
STEP = "model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))\nopt = torch.optim.SGD(model.parameters(), lr=0.1)\nout = model(torch.ones(4, 2))\nloss1 = out.mean()\nloss2 = (out ** 2).mean()\nloss1.backward(retain_graph=True)\nopt.step()\nloss2.backward()\nopt.step()"

CASES = [
    Classic("a state carried through the turns of a loop", "cell = nn.RNNCell(2, 3)\nopt = torch.optim.SGD(cell.parameters(), lr=0.1)\nh = torch.zeros(1, 3)\nfor t in range(3):\n    h = cell(torch.ones(1, 2), h)\n    loss = h.sum()\n    opt.zero_grad()\n    loss.backward()\n    opt.step()", 8, ("in an earlier turn of the loop", "line 5"), 5, "    h = cell(torch.ones(1, 2), h.detach())"),
    Classic("losses collected as numbers", "w = torch.tensor(1., requires_grad=True)\nlosses = []\nfor i in range(3):\n    losses.append((w * i).item())\ntotal = sum(losses) / len(losses)\ntotal.backward()", 6, ("a number of Python's", "on line 4"), 4, "    losses.append(w * i)"),
    Classic("layers in a row", "model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(16, 1))\ny = model(torch.ones(2, 4))", 2, ("`nn.Linear(16, 1)` on line 1", "has 8"), 1, "model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))"),
    Classic("layers of a module", NET, 8, ("`nn.Linear(3, 2)` on line 5", "has 5"), 5, "        self.fc2 = nn.Linear(5, 2)"),
    Classic("images given to a linear layer", "n = 28\nlayer = nn.Linear(n * 28, 10)\nx = torch.rand(3, 1, 28, 28)\ny = layer(x)", 4, ("`nn.Linear(n * 28, 10)` on line 2", "= 784"), 4, "y = layer(x.flatten(1))"),
    Classic("channels", "conv = nn.Conv2d(3, 8, 3)\ny = conv(torch.randn(2, 1, 8, 8))", 2, ("`nn.Conv2d(3, 8, 3)` on line 1", "in_channels = 3"), 1, "conv = nn.Conv2d(1, 8, 3)"),
    Classic("batch size of a loss", "logits = torch.randn(4, 3, requires_grad=True)\ntarget = torch.tensor([0, 1, 2])\nloss = F.cross_entropy(logits, target)", 3, ("`logits` has shape (4, 3) and `target` has shape (3,)", "4 rows cannot be paired with 3"), 3, "loss = F.cross_entropy(logits[:3], target)"),
    Classic("a column of predictions", "crit = nn.BCEWithLogitsLoss()\nlogits = torch.randn(2, 1, requires_grad=True)\ntarget = torch.tensor([0., 1.])\nloss = crit(logits, target)", 4, ("`logits` has shape (2, 1) and `target` has shape (2,)",), 4, "loss = crit(logits.squeeze(-1), target)"),
    Classic("a column of classes", "crit = nn.CrossEntropyLoss()\nlogits = torch.randn(2, 3, requires_grad=True)\ntarget = torch.tensor([[0], [1]])\nloss = crit(logits, target)", 4, ("`target` has shape (2, 1)",), 4, "loss = crit(logits, target.squeeze(-1))"),
    Classic("whole numbers for a loss of probabilities", "crit = nn.BCELoss()\np = torch.sigmoid(torch.randn(2, requires_grad=True))\ntarget = torch.tensor([0, 1])\nloss = crit(p, target)", 4, ("`target` is int64", "floating-point"), 4, "loss = crit(p, target.float())"),
    Classic("whole numbers for a loss with logits", "z = torch.randn(2, requires_grad=True)\ntarget = torch.tensor([0, 1])\nloss = F.binary_cross_entropy_with_logits(z, target)", 3, ("`target` is int64", "floating-point"), 3, "loss = F.binary_cross_entropy_with_logits(z, target.float())"),
    Classic("decimals for classes", "z = torch.randn(2, 2, requires_grad=True)\nloss = F.cross_entropy(z, torch.tensor([0., 1.]))", 2, ("whole numbers",), 2, "loss = F.cross_entropy(z, torch.tensor([0., 1.]).long())"),
    Classic("classes counted from one", "z = torch.randn(2, 2, requires_grad=True)\nt = torch.tensor([1, 2])\nloss = F.cross_entropy(z, t)", 3, ("2 classes, numbered from 0 to 1",), 3, "loss = F.cross_entropy(z, t - 1)"),
    Classic("too few gradients", OWN.format("g * b"), 11, ("`Own.forward` takes `a`, `b`", "on line 9 gives 1, for 2"), 9, "        return g * b, None"),
    Classic("too many gradients", OWN.format("g * b, None, g"), 11, ("on line 9 gives 3, for 2",), 9, "        return g * b, None"),
    Classic("a step between two backward passes", STEP, 8, ("`model.1.weight`", "`opt.step()` on line 7"), 7, "loss2.backward()\nopt.step()"),
    Classic("a loss computed once, stepped on often", "w = torch.tensor([1., 2.], requires_grad=True)\nopt = torch.optim.SGD([w], lr=0.1)\nloss = (w ** 2).sum()\nfor i in range(3):\n    opt.zero_grad()\n    loss.backward(retain_graph=True)\n    opt.step()", 6, ("`loss = (w ** 2).sum()` on line 3", "`opt.step()` on line 7"), 6, "    loss = (w ** 2).sum()\n    loss.backward(retain_graph=True)"),
    Classic("weights updated by hand between two backward passes", "w = torch.tensor([1., 2.], requires_grad=True)\na = (w ** 2).sum()\nb = (w ** 3).sum()\na.backward()\nwith torch.no_grad():\n    w -= 0.1 * w.grad\nb.backward()", 7, ("`w -= 0.1 * w.grad` on line 6",), 5, "b.backward()\nwith torch.no_grad():\n    w -= 0.1 * w.grad"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_error_of_training_is_diagnosed_and_its_mend_runs(case: Classic) -> None:
    error = lesson(case.program)["error"]
    assert error["line"] == case.line
    for piece in case.says:
        assert piece in error["diagnosis"]
    assert (error["mend_line"], error["mend"]) == (case.mend_line, case.mend)
    mended = lesson(error["mended_program"])
    assert mended["outcome"] == "completed", mended["error"]


def test_sizes_that_no_layer_or_loss_explains_are_told_as_they_are() -> None:
    error = lesson("a = torch.ones(2, 3)\nb = torch.ones(4, 5)\nc = a @ b")["error"]
    assert "`a` has shape (2, 3), `b` has shape (4, 5)" in error["diagnosis"]
    error = lesson("n = 3\nlayer = nn.Linear(n + 3, 1)\nx = torch.ones(2, 4)\ny = layer(x)")["error"]
    assert "`x` has shape (2, 4)" in error["diagnosis"]
