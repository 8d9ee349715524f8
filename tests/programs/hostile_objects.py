# ruff: noqa: E501  a program, or a row of a table, is easier to read on one line
"""Hostile programs that go through what objects, modules, arrays and the standard library's modules hold."""

OBJECTS = [
    "class A(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self._parameters = nn.Linear(1,1)\nA()",
    "class A(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.forward = 3\n        self.user_class = 1\nA()",
    "class A:\n    def __getattr__(self, n): return 1\nA().x", "class A:\n    x = 1\nA().__dict__", "class A:\n    pass\nprint(A().user_class, A().attributes)",
    "x='user_class'\nclass A:\n    pass\nprint(getattr(A(), 'user_class'))", "f = torch.sum\nd={'out': torch.ones(1)}\nf(torch.ones(2), **d)",
    "class A(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.register_buffer('__class__', torch.ones(1))\nA()",
    "def g():\n    while True:\n        yield 1\nprint(list(g()))", "def g():\n    for x in g():\n        yield x\nlist(g())",
    "class A:\n    def __len__(self): return 10**30\nprint(len(A()))", "import numpy as np\nx=np.zeros((100000,100000))", "import numpy as np\nx=np.array([print])",
    "import numpy as np\nx=np.ones(10)\nx.dump('f')", "import numpy as np\nnp.arange(1e12)",
    "import numpy as np\nnp.ones((1000,1000)).reshape(-1)[None]+np.ones((1000000,1))", "import numpy as np\nnp.random.normal(0,1,10**12)",
    "import numpy as np\nnp.outer(np.ones(10**5),np.ones(10**5))", "import numpy as np\nnp.array([1],dtype='O')", "import numpy as np\nnp.ones(3).astype('object')",
    "import numpy as np\nnp.linspace(0,1,10**12)", "import numpy as np\nrng=np.random.default_rng(0)\nrng.normal(size=10**12)", "nn.Conv2d(1000,1000,(1000,1000))",
    "nn.Embedding(10**7,10**5)", "m=nn.Conv2d(1,1,1,padding=10**6)\nm(torch.ones(1,1,2,2))",
    "import matplotlib.pyplot as plt\nplt.__class__.__base__.__subclasses__()", "import warnings\nwarnings.sys.modules['os'].system('x')",
    "import random\nrandom._os.system('x')", "import random\nrandom.sample(range(10**9),10**9)",
    "import copy\nx=[1]\nfor i in range(40):\n    x=[x,x]\ny=copy.deepcopy(x)", "setattr(torch, 'ones', 1)", "setattr(nn.Linear, 'forward', 1)",
    "class A(nn.Module):\n    pass\nA.forward = print\nA()(1)", "import collections\nd=collections.defaultdict(eval)",
    "import functools\nf=functools.partial(eval)", "from functools import partial\nf=partial(torch.ones, 10**5)\nf(10**5)",
    "x=torch.utils.data.DataLoader([1]*10, batch_size=2, num_workers=4, collate_fn=print)",
    "t=torch.utils.data.DataLoader(range(10**9), batch_size=10**9)\nfor x in t: pass", "print(set([torch.ones(1)]))", "{**{'a':1}}\nprint(**{'file': 1})",
    "class A(Exception): pass", "torch.empty(10**6,10**6)", "x=torch.ones(3)\nx.grad_fn = 3\nclass A:\n    def __init__(self): self.grad_fn = 1",
    "torch.optim.lr_scheduler.LambdaLR(torch.optim.SGD([torch.ones(1,requires_grad=True)],lr=1), eval)",
]  # fmt: skip
