"""What `import` may name, and what else a name stands for."""

from typing import Final

from gradline.programs.allowed.rows import words

ALIASES: Final = {
    "torch.special.": "torch.",
    "torch.functional.": "torch.",
    "torch.autograd.variable.": "torch.autograd.",
    "torch.autograd.function.": "torch.autograd.",
    "torch.nn.parameter.": "torch.nn.",
    "torch.nn.modules.": "torch.nn.",
    "torch.nn.utils.clip_grad.": "torch.nn.utils.",
    "torch.nn.utils.stateless.": "torch.func.",
    "torch.utils.data.dataset.": "torch.utils.data.",
    "torch.utils.data.dataloader.": "torch.utils.data.",
    "torch.random.": "torch.",
    "torch.autograd.grad_mode.": "torch.autograd.",
    "torch.autograd.anomaly_mode.": "torch.autograd.",
    "torch.autograd.gradcheck.": "torch.autograd.",
    "functorch.": "torch.func.",
    "tqdm.auto.": "tqdm.",
    "tqdm.notebook.": "tqdm.",
}
"""Where else torch keeps an entry of the table."""

EQUIVALENT: Final = {"torch.empty": "torch.zeros", "torch.empty_like": "torch.zeros_like", "numpy.empty": "numpy.zeros"}
"""What a name stands for here: memory that nobody wrote yet is shown as zeros."""

IMPLIED: Final = {
    "torch": "torch",
    "nn": "torch.nn",
    "F": "torch.nn.functional",
    "optim": "torch.optim",
    "math": "math",
    "np": "numpy",
}
"""Modules by the name snippets give them; they are there also without their import."""

MODULES: Final = words(
    """
    torch torch.nn torch.nn.functional torch.nn.init torch.nn.utils torch.autograd torch.autograd.functional
    torch.autograd.forward_ad torch.autograd.variable torch.autograd.function torch.nn.parameter torch.func
    torch.linalg torch.optim torch.optim.lr_scheduler torch.cuda torch.special torch.autograd.graph
    torch.autograd.grad_mode torch.autograd.gradcheck torch.autograd.anomaly_mode torch.nn.modules torch.utils
    torch.utils.data torch.utils.checkpoint torch.random functorch numpy numpy.random numpy.linalg random time copy
    functools collections dataclasses tqdm tqdm.auto tqdm.notebook math __future__ typing
    """
)
"""What `import` and `from ... import` may name."""
