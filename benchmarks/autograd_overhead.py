"""What tracing costs: programs in plain torch and in the interpreter with the full trace.

python benchmarks/autograd_overhead.py
"""

import statistics
import time
import warnings
from collections.abc import Callable

import torch

from gradline.autograd.interpreter import Interpreter
from gradline.autograd.lesson import Wishes, teach
from gradline.autograd.limits import Budget, Limits
from gradline.autograd.record.trace import Trace
from gradline.programs import parse

ROUNDS = 31
TEN_LINES = """import torch
w = torch.tensor([1.], requires_grad=True)
x = torch.tensor([2.], requires_grad=True)
a = torch.add(w, x)
b = torch.add(w, 1)
y = torch.mul(a, b)
y.backward(retain_graph=True)
print(w.grad)
y.backward()
print(w.grad)
"""


def chain(n: int) -> str:
    """n operations one behind the other, and one backward through all of them."""
    lines = [f"a{i + 1}=torch.sin(a{i})" if i % 2 else f"a{i + 1}=a{i}*0.9" for i in range(n)]
    return "\n".join(["import torch", "a0=torch.tensor(1.1,requires_grad=True)", *lines, f"a{n}.backward()"])


def loop(n: int) -> str:
    """n operations in a loop over small matrices."""
    return f"""import torch
w = torch.eye(8, requires_grad=True)
x = torch.ones(8)
for i in range({n // 4}):
    h = w @ x
    h = torch.tanh(h)
    x = h * 0.5
    x = x + 0.1
x.sum().backward()
"""


def seconds(*works: Callable[[], object]) -> list[float]:
    """The median of several rounds of each, in turns, so that a noisy moment meets all of them."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, own in zip(works, times, strict=True):
            began = time.perf_counter()
            work()
            own.append(time.perf_counter() - began)
    return [statistics.median(own) for own in times]


def compare(name: str, text: str) -> None:
    program, code = parse(text), compile(text, name, "exec")
    plain, traced, parsing = seconds(
        lambda: exec(code, {}), lambda: Interpreter(program, Budget(Limits()), Trace()).run(), lambda: parse(text)
    )
    ratio = f"plain {plain * 1e3:7.2f} ms   traced {traced * 1e3:7.2f} ms = {traced / plain:4.1f} x"
    print(f"{name:24} {ratio}   parse {parsing * 1e3:6.2f} ms")


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    compare("1000 scalar operations", chain(1000))
    compare("1000 in a loop, 8 x 8", loop(1000))
    program = parse(TEN_LINES)
    bare, whole = seconds(
        lambda: teach(program, Limits(), Wishes(checks=False, symbolic=False)), lambda: teach(program, Limits())
    )
    print(f"ten lines: trace and result {bare * 1e3:.2f} ms; with checks and symbols {whole * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
