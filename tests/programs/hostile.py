# ruff: noqa: E501  a program, or a row of a table, is easier to read on one line
"""Programs written to get out, to eat memory or time, or to crash the parser. None may do any of it."""

_WALKS = [
    "().__class__", "[].__class__.__bases__", "().__class__.__base__.__subclasses__()", "print.__self__", "torch.__dict__",
    "torch.__builtins__", "torch.tensor.__globals__", "(lambda: 0).__globals__", "(lambda: 0).__code__", "''.__class__.__mro__",
    "torch.nn.__loader__", "torch.ones(1).__class__", "torch.ones(1).__reduce_ex__(2)", "torch.ones(1).__dict__",
    "torch.ones(1).__setstate__({})", "torch.Tensor.__init__", "type(torch.ones(1)).__subclasses__()", "__builtins__",
    "__import__('os').system('touch /tmp/out')", "__loader__", "__spec__", "__file__", "__doc__", "str.__class__",
    "torch.ones(1).grad_fn.__class__", "f'{().__class__}'", "'{0.__class__}'.format(1)", "'{0[0]}'.format([1])",
    "'{a.b}'.format(a=1)", "'{:{}}'.format(1, 'x')", "'{!x}'.format(1)", "'%(a)s' % {'a': 1}", "'%*d' % (10**9, 1)",
    "f'{1:>999999999}'", "f'{1:{10**9}}'", "f'{1:.{10**9}f}'", "'{:>99999}'.format(1)", "'%99999999d' % 1",
    "'%.99999999f' % 1", "x = '{0.__class__}'\nprint(x.format(1))", "x = '%99999999d'\nprint(x % 1)",
]  # fmt: skip

_CALLS = [
    "eval('1')", "exec('x = 1')", "compile('1', '', 'eval')", "open('/etc/passwd')", "input()", "breakpoint()", "exit()",
    "quit()", "help()", "globals()", "locals()", "vars()", "dir()", "getattr(torch, 'load')", "setattr(torch, 'x', 1)",
    "delattr(torch, 'x')", "hasattr(torch, 'load')", "memoryview(b'')", "classmethod(print)", "super()", "object()",
    "torch.load('x')", "torch.save(torch.ones(1), 'x')", "torch.hub.load('a', 'b')", "torch.ops.aten.add(1, 2)",
    "torch.classes.load_library('x')", "torch.ops.load_library('x')", "torch._C", "torch.utils.data.DataLoader([])",
    "torch.multiprocessing.spawn(print)", "torch.distributed.init_process_group()", "torch.compile(print)",
    "torch.jit.script(print)", "torch.package", "torch.serialization.load('x')", "torch.from_file('/etc/passwd')",
    "torch.empty(10)", "torch.ones(1).resize_(10**9)", "torch.ones(1).set_()", "torch.ones(1).as_strided((9,), (1,))",
    "torch.ones(1).untyped_storage()", "torch.ones(1).share_memory_()", "torch.ones(1).new_empty(3)", "torch.Tensor(10, 10)",
    "torch.tensor([1.]).apply_(print)", "torch.ones(1).map_(torch.ones(1), print)", "torch.set_num_threads(999)",
    "torch.cuda.memory_snapshot()", "math.__loader__", "import os", "import sys", "import subprocess", "from os import system",
    "import torch.utils.cpp_extension", "from torch import load", "from torch import *", "import builtins", "import ctypes",
    "import torch as os\nos.system('x')", "from . import x", "import importlib\nimportlib.import_module('os')",
    "import numpy as np\nnp.load('x')", "type('X', (), {})", "type('X', (dict,), {})()", "isinstance(1, print)",
    "print(1, file=open('/tmp/out', 'w'))", "sorted([1], key=eval)", "torch.ones(2, out=torch.ones(2))",
    "torch.zeros(3, device='meta')", "torch.ones(1).to('meta')", "torch.device('meta')", "torch.ones(1, layout=1)",
    "torch.ones(1).requires_grad_().register_hook(print).__class__", "torch.autograd.Function.apply(1)",
]  # fmt: skip

_BOMBS = [
    "9**9**9", "10**100000", "x = 10**300\nfor i in range(99):\n    x = x * x", "'a' * 10**10", "[0] * 10**9", "(1,) * 10**9",
    "x = 'a'\nwhile True:\n    x = x + x", "x = [0]\nwhile True:\n    x = x + x", "x = [0]\nwhile True:\n    x += x",
    "x = []\nwhile True:\n    x.append(x)", "x = []\nwhile True:\n    x.extend([1] * 1000)", "list(range(10**12))",
    "sum(range(10**12))", "max(range(10**15))", "for i in range(10**12):\n    pass", "while True:\n    pass",
    "[i for i in range(10**12)]", "[[[k for k in range(999)] for j in range(999)] for i in range(999)]",
    "{i: i for i in range(10**9)}", "def f():\n    return f()\nf()", "f = lambda: f()\nf()",
    "def f(n):\n    return f(n) + f(n)\nf(1)", "torch.ones(10**6, 10**6)", "torch.ones(10**12)", "torch.arange(0, 1, 1e-12)",
    "torch.arange(10**12)", "torch.linspace(0, 1, 10**12)", "torch.eye(10**6)", "torch.zeros(99999, 99999, 99999)",
    "torch.ones(1000, 1000).repeat(1000, 1000)", "torch.ones(10**5).expand(10**5, 10**5).clone()",
    "torch.ones(10**6)[:, None] * torch.ones(10**6)", "torch.diag(torch.ones(10**6))", "torch.outer(torch.ones(10**6), torch.ones(10**6))",
    "torch.kron(torch.ones(9999), torch.ones(9999))", "F.one_hot(torch.tensor([10**12]))", "F.one_hot(torch.tensor([1]), 10**12)",
    "torch.bincount(torch.tensor([10**12]))", "torch.repeat_interleave(torch.ones(9), torch.tensor([10**11] * 9))",
    "torch.ones(3).repeat_interleave(10**11)", "F.pad(torch.ones(3), (10**11, 0))", "torch.ones(2).tile(10**11)",
    "torch.einsum('i,j,k->ijk', torch.ones(9999), torch.ones(9999), torch.ones(9999))",
    "torch.einsum('i,j,k->', torch.ones(99999), torch.ones(99999), torch.ones(99999))",
    "torch.cdist(torch.ones(99999, 1), torch.ones(99999, 1))", "torch.meshgrid(torch.ones(99999), torch.ones(99999), indexing='ij')",
    "torch.stack([torch.ones(10**5)] * 99999)", "torch.cat([torch.ones(10**5)] * 99999)", "nn.Linear(10**6, 10**6)",
    "torch.autograd.functional.jacobian(lambda v: v, torch.ones(10**6))", "torch.func.hessian(lambda v: v.sum())(torch.ones(10**6))",
    "torch.func.vmap(lambda v: torch.ones(10**6) * v)(torch.ones(10**5))", "x = torch.ones(10**6)\nxs = []\nwhile True:\n    xs.append(x + 1)",
    "torch.tensor([[0] * 10**5] * 10**5)", "print('a' * 99999 + '\\n' + 'b' * 99999)\nprint('c' * 99999)", "while True:\n    print('flood')",
    "x = torch.ones(1, requires_grad=True)\nx.register_hook(lambda g: [0] * 10**10)\nx.sum().backward()",
    "torch.randint(0, 10, (10**6, 10**6))", "torch.randperm(10**12)", "torch.normal(0., 1., (10**6, 10**6))", "torch.full((10**6, 10**6), 1.)",
    "torch.ones(9).new_zeros(10**12)", "torch.ones(9).unfold(0, 1, 1).repeat(10**11, 1)", "torch.tril(torch.ones(10**6, 10**6))",
    "','.join(['a' * 1000] * 99999)", "'a'.ljust(10**10)", "'a'.center(10**12)", "torch.ones(10**6).tolist() * 10**6",
]  # fmt: skip

_TEXTS = [
    "\0", "x = 1\0", "\x1b[2J", "x = '\u202e'", "\u200bx = 1", "\ufeff\ufeffx = 1", "ｅｖａｌ('1')", "torch.ｌｏａｄ('x')", "𝓮𝔁𝓮𝓬('1')",
    "x = " + "(" * 5000, "x = " + "[" * 90 + "]" * 90, "x = " + "-" * 15000 + "1", "x = " + "not " * 4000 + "1", "x = 1" + "+1" * 9000,
    "x = " + "lambda: " * 2000 + "1", "x = " + "f(" * 39 + ")" * 39, "x" + ".T" * 9000, "x" + "[0]" * 5000, "if 1:\n" * 200,
    "".join("  " * i + "if 1:\n" for i in range(95)) + "  " * 95 + "pass", "x = '" + "a" * 30000, "x = " + "9" * 19000, "x = 1e" + "9" * 5000,
    "x = 0x" + "f" * 15000, "a" * 19000 + " = 1", "# " + "a" * 19000, "'''" * 3000, "\\\n" * 9000, ";" * 19000, "x = {" + "1:1," * 4000 + "}",
    "f'{" * 30 + "1" + "}'" * 30, "match 1:\n    case 1: pass", "async def f(): pass", "class A: pass", "class A(dict): pass", "class A(torch.Tensor): pass",
    "class A(torch.autograd.Function):\n    x = eval", "class A(torch.autograd.Function):\n    def __init__(self): pass",
    "class A(torch.autograd.Function, metaclass=type):\n    pass", "def f(**k): pass", "@property\ndef f(): pass", "@eval\ndef f(): pass",
    "lambda: (yield)", "await x", "x = (y := 1)", "global __builtins__", "del torch", "torch = 1", "print = eval", "x: eval('1') = 1",
    "with open('x') as f: pass", "with torch.ones(1): pass", "try:\n    while True:\n        pass\nexcept Exception:\n    pass",
    "try:\n    torch.ones(10**12)\nexcept:\n    pass\nwhile True:\n    pass", "raise SystemExit", "raise KeyboardInterrupt", "assert eval('0')", "x = 1 << 10**9",
    "return 1", "break", "yield 1", "x = b'bytes'", "x = ...", "`ls`", "!ls", "%timeit 1", "$x", "print(*range(10**9))", "__name__ = 'x'",
    "x = torch.ones(1)\nx.__class__ = 1", "x = torch.ones(1)\nx.foo = 1", "torch.pi = 3", "torch.ones = print", "x = [1]\nx[0].y = 2", "for torch.pi in [1]: pass",
    "import torch\nfor torch.x in []: pass", "x = 1\nx.real.__class__", "def f(x=eval): pass", "lambda x=open: x", "[x.__class__ for x in [1]]",
]  # fmt: skip

HOSTILE = [*_WALKS, *_CALLS, *_BOMBS, *_TEXTS]
