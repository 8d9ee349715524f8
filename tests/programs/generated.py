# ruff: noqa: E501  a program, or a row of a table, is easier to read on one line
"""Programs drawn from the language's grammar: leaves, operations, views, in-place changes, loops, backward passes, prints."""

from textwrap import indent

from hypothesis import strategies as st

UNARY = [
    "{a}.exp()", "torch.sin({a})", "{a}.tanh()", "torch.sigmoid({a})", "{a} ** 2", "-{a}", "{a}.abs()", "F.softplus({a})", "torch.relu({a})",
    "{a} * 0.5", "2 - {a}", "{a}.clamp(-1, 1)", "{a}.clone()", "{a}.detach()", "torch.log_softmax({a}, dim=-1)", "{a}.flip(0)", "{a}.cumsum(0)",
    "{a}.square().mean()", "{a}.reshape(-1)", "torch.where({a} > 0, {a}, {a} * 2)", "{a}.data", "{a} / 3", "3 ** {a}", "{a}.norm()", "{a}.logsumexp(0)",
    "{a}[..., 0]", "{a}[-1]", "{a}.unsqueeze(0)", "{a}.double()", "{a}.T", "{a}.std()", "{a}.max()", "{a}.softmax(0)",
]  # fmt: skip
BINARY = [
    "{a} + {b}", "{a} * {b}", "{a} - {b}", "{a} / ({b} ** 2 + 1)", "torch.maximum({a}, {b})", "{a} @ {b}", "torch.mul({a}, {b})",
    "torch.stack([{a}, {b}])", "torch.cat([{a}, {b}])", "torch.add({a}, {b}, alpha=2)", "torch.dot({a}, {b})", "F.mse_loss({a}, {b})",
    "{a} if {a}.sum() > {b}.sum() else {b}", "torch.outer({a}, {b})", "{a}.expand_as({b})",
]  # fmt: skip
STATEMENTS = [
    "{a} += 1", "{a} *= {b}", "{a}.add_({b})", "{a}[0] = {b}.sum()", "{a}.zero_()", "{a}.sum().backward()", "{a}.backward()",
    "{a}.backward(torch.ones_like({a}), retain_graph=True)", "({a} * {b}).sum().backward()", "{a}.sum().backward(create_graph=True)",
    "print({a})", "print({a}.grad, {a}.requires_grad, {a}.is_leaf)", "print(f'{{{a}.sum():.3f}}', {a}.shape)", "{a}.requires_grad_()", "{a}.retain_grad()",
    "print(torch.autograd.grad({a}.sum(), {b}, allow_unused=True))", "{a}.grad = None", "{a}.grad.zero_()", "{a} = {a}.detach()", "print({a}._version)",
    "with torch.no_grad():\n    {a} -= 0.1 * {b}", "with torch.no_grad():\n    {a} = {a} * 2", "for i in range(3):\n    {a} = {a} * {b}",
    "for i in range(2):\n    ({a} ** i).sum().backward()", "if {a}.sum() > 0:\n    {b} = {b} + 1\nelse:\n    print('no')", "{a}, {b} = {b}, {a}",
    "def f(x, k=2):\n    return x * k + {b}\n{a} = f({a})", "{a}.register_hook(lambda g: g * 2)", "print([p.sum().item() for p in ({a}, {b})])",
    "try:\n    {a}.sum().backward()\nexcept RuntimeError as e:\n    print('caught', e)", "print('%.2f' % {a}.sum(), '{{}}'.format({b}))",
    "print(torch.func.grad(lambda v: (v ** 2).sum())({a}))", "g, = torch.autograd.grad({a}.sum(), [{b}], create_graph=True)\nprint(g)", "assert {a}.sum() is not None",
    "opt = torch.optim.SGD([{a}], lr=0.1)\nopt.step()\nopt.zero_grad()", "print({a}.tolist(), len({a}), {a}.dtype)", "del {a}",
]  # fmt: skip
CREATIONS = [
    "torch.tensor({x}, requires_grad=True)", "torch.tensor([{x}, {y}], requires_grad=True)", "torch.tensor([[{x}, {y}], [{y}, 1.5]], requires_grad=True)",
    "torch.tensor([{x}, {y}])", "torch.ones(2, requires_grad=True)", "torch.arange(4.).reshape(2, 2)", "torch.randn(2, 2, requires_grad=True)",
    "torch.full((2,), {x}, dtype=torch.float64, requires_grad=True)", "torch.linspace({x}, {y}, 2)", "torch.rand(2)",
]  # fmt: skip

_number = st.sampled_from(["-2.0", "-0.75", "0.0", "0.5", "1.0", "3.25"])


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A program of a few leaves and up to a dozen lines that ends in a backward; where torch refuses, it says so and goes on."""
    lines, names = ["torch.manual_seed(1)"], []
    for i in range(draw(st.integers(1, 3))):
        names.append(f"a{i}")
        lines.append(f"a{i} = " + draw(st.sampled_from(CREATIONS)).format(x=draw(_number), y=draw(_number)))
    for i in range(draw(st.integers(1, 12))):
        a, b = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        kind = draw(st.sampled_from(["unary", "binary", "statement"]))
        if kind == "statement":
            lines.append(_guarded(draw(st.sampled_from(STATEMENTS)).format(a=a, b=b)))
        else:
            names.append(f"v{i}")
            piece = draw(st.sampled_from(UNARY if kind == "unary" else BINARY)).format(a=a, b=b)
            lines += [f"v{i} = {a}", _guarded(f"v{i} = {piece}")]
    last = draw(
        st.sampled_from(
            ["{a}.sum().backward()", "({a} ** 2).sum().backward()", "{a}.sum().backward(retain_graph=True)"]
        )
    )
    if draw(st.booleans()):
        lines.append(_guarded(last.format(a=names[-1]) + "\nprint(a0.grad)"))
    else:
        lines.append(last.format(a=names[-1]))
    return "\n".join(lines)


def _guarded(text: str) -> str:
    return f"try:\n{indent(text, '    ')}\nexcept Exception as e:\n    print(type(e).__name__, e)"
