"""What operations cost: elements of their result, tensors they give, multiplications, known from their arguments."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.plain import length_of


def flat(values: Iterable[Any]) -> Iterable[Any]:
    """What nested lists and tuples hold."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from flat(value)
        else:
            yield value


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ELEMENTWISE = _words(
    """
    + - * / // % ** == != < <= > >= & | ^ add sub subtract mul multiply div divide true_divide floor_divide remainder
    fmod pow maximum minimum fmax fmin atan2 hypot logaddexp lerp addcmul addcdiv where clamp clip clamp_min clamp_max
    eq ne lt le gt ge isclose allclose equal logical_and logical_or logical_xor masked_fill mse_loss l1_loss
    smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits kl_div poisson_nll_loss
    cosine_similarity expand_as view_as reshape_as type_as
    """
)
NOT_LARGER = _words(
    """
    cross_entropy nll_loss layer_norm batch_norm softmax log_softmax normalize gather index_select take masked_select
    scatter scatter_add index_add dropout sum mean max min amax amin argmax argmin norm std var view reshape permute
    transpose flatten squeeze unsqueeze t detach clone to type sort topk cumsum flip roll split chunk
    """
)
"""Operations whose result has at most as many elements as their largest operand."""


def upper_bound(name: str, args: Any, kwargs: dict[str, Any]) -> float | None:
    """An upper bound that needs no run on the `meta` device, which would load torch's compiler, for seconds."""
    tensors = [value for value in flat([*args, *kwargs.values()]) if isinstance(value, Tensor)]
    try:
        if name in ELEMENTWISE:
            return float(math.prod(torch.broadcast_shapes(*(tensor.shape for tensor in tensors))))
        if name in NOT_LARGER:
            return float(max(tensor.numel() for tensor in tensors))
        if name in ("cat", "concat", "concatenate", "stack", "hstack", "vstack"):
            return float(sum(tensor.numel() for tensor in tensors))
        if name in ("@", "matmul", "mm", "mv", "dot", "bmm", "linear") and len(tensors) > 1:
            return _matrix_product(tensors[0], tensors[1].mT if name == "linear" else tensors[1])
        if name == "[]":
            return _indexed(args[0], args[1])
    except (RuntimeError, ValueError, IndexError):
        return 0.0  # a wrong call says so itself
    return None


def _matrix_product(left: Tensor, right: Tensor) -> float:
    """Of a matrix product."""
    if left.dim() < 2 or right.dim() < 2:
        return float(left.numel() * right.numel() / max(left.shape[-1], 1) ** 2)
    batch = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    return float(math.prod(batch) * left.shape[-2] * right.shape[-1])


def _indexed(tensor: Tensor, index: Any) -> float | None:
    """Of `tensor[index]`; None where a mixed index would have to be followed."""
    parts = index if isinstance(index, tuple) else (index,)
    if not any(isinstance(part, Tensor | list) for part in parts):
        return float(tensor.numel())
    if any(part is None or part is ... for part in parts):
        return None
    shapes: list[torch.Size] = []
    taken = 1.0
    for part, n in zip(parts, tensor.shape, strict=False):
        if isinstance(part, Tensor) and part.dtype is torch.bool:
            return float(tensor.numel())
        if isinstance(part, Tensor | list | range):
            shapes.append(part.shape if isinstance(part, Tensor) else torch.Size([math.prod(_lengths(part))]))
            taken *= n
    return float(math.prod(torch.broadcast_shapes(*shapes)) * tensor.numel() / max(taken, 1.0))


def _lengths(data: Any) -> list[int]:
    """Of nested lists, which torch takes to be as long as their first ones."""
    lengths = []
    while isinstance(data, list | tuple | range) and data:
        lengths.append(length_of(data))
        data = data[0]
    return lengths


def _nested(data: Any, *_: Any, **__: Any) -> float:
    """Numbers in nested lists, which torch takes to be as long as their first ones."""
    n = math.prod(_lengths(data))
    while isinstance(data, list | tuple | range) and data:
        data = data[0]
    return float(n * (data.numel() if isinstance(data, Tensor) else 1))


def _range(start: Any, end: Any = None, step: Any = 1, **_: Any) -> float:
    start, end = (0, start) if end is None else (start, end)
    return abs(float(end) - float(start)) / abs(float(step) or 1e-300)


def _steps(_start: Any = 0, _end: Any = 0, steps: int = 100, *_: Any, **__: Any) -> float:
    return float(steps)


def _binned(tensor: Tensor, _weights: Any = None, minlength: int = 0) -> float:
    return float(max(int(tensor.max()) + 1, minlength))


def _one_hot(tensor: Tensor, num_classes: int = -1) -> float:
    return float(tensor.numel() * (num_classes if num_classes > 0 else int(tensor.max()) + 1))


def _repeated(tensor: Tensor, repeats: Any = None, dim: Any = None, **_: Any) -> float:
    if repeats is None:
        return float(tensor.sum())
    if isinstance(repeats, Tensor):
        rows = 1 if dim is None else tensor.numel() / max(tensor.shape[dim], 1)
        return float(repeats.double().sum() * rows * (tensor.numel() if repeats.numel() == 1 else 1))
    return float(tensor.numel() * float(repeats))


def _contracted(equation: str, *operands: Any) -> float:
    """A contraction of two operands never holds more than its result; of more, an upper bound for what lies between."""
    tensors = list(operands[0]) if operands and isinstance(operands[0], list | tuple) else list(operands)
    left, _, right = equation.replace(" ", "").partition("->")
    sizes = {
        c: n for term, t in zip(left.split(","), tensors, strict=False) for c, n in zip(term, t.shape, strict=False)
    }
    if len(tensors) <= 2:
        return float(math.prod(sizes.get(c, 1) for c in right))
    return float(math.prod(sizes.values())) / 10


def _multiplied(left: Tensor, right: Tensor, *_: Any, **__: Any) -> float:
    columns = float(right.shape[-1]) if right.dim() > 1 else 1.0
    n_matrices = math.prod(right.shape[:-2]) if right.dim() > 2 and left.dim() <= 2 else 1
    return float(left.numel() * columns * n_matrices)


def _factorised(tensor: Tensor, *_: Any, **__: Any) -> float:
    return float(20 * tensor.numel() * min(tensor.shape[-2:]))


def _pooled(n_dims: int) -> Callable[..., float]:
    def work(tensor: Tensor, kernel_size: Any, stride: Any = None, *_: Any, **__: Any) -> float:
        kernel, step = (
            math.prod(size) if isinstance(size, list | tuple) else float(size) ** n_dims
            for size in (kernel_size, stride or kernel_size)
        )
        return float(tensor.numel() * kernel / max(step, 1))

    return work


def _raised(tensor: Tensor, n: int, *_: Any) -> float:
    return float(2 * tensor.numel() * tensor.shape[-1] * max(abs(n).bit_length(), 1))


def _attended(query: Tensor, key: Tensor, *_: Any, **__: Any) -> float:
    return float(query.numel() * key.shape[-2])


def _convolved(tensor: Tensor, weight: Tensor, *_: Any, **__: Any) -> float:
    """By its work, which is what a convolution has too much of first."""
    return float(tensor.numel() * weight.numel() / 1_000)


SIZES: dict[str, Callable[..., float]] = {
    "tensor": _nested,
    "as_tensor": _nested,
    "Tensor": _nested,
    "new_tensor": lambda _, data, *__, **___: _nested(data),
    "arange": _range,
    "linspace": _steps,
    "logspace": _steps,
    "eye": lambda n, m=None, **_: float(n) * float(n if m is None else m),
    "diag": lambda tensor, *_, **__: float(tensor.numel() ** 2 if tensor.dim() == 1 else tensor.numel()),
    "diag_embed": lambda tensor, *_, **__: float(tensor.numel() * tensor.shape[-1]),
    "one_hot": _one_hot,
    "repeat_interleave": _repeated,
    "bincount": _binned,
    "einsum": _contracted,
    "scaled_dot_product_attention": lambda query, key, *_, **__: _attended(query, key) / max(query.shape[-1], 1),
    "conv1d": _convolved,
    "conv2d": _convolved,
}
"""Elements of the result of operations for which the product of their operands says too little or far too much."""

PIECES: dict[str, Callable[..., float]] = {
    "unbind": lambda tensor, dim=0: tensor.shape[dim],
    "split": lambda tensor, size=1, dim=0, **_: tensor.shape[dim] / size,
    "chunk": lambda _, chunks=1, *__, **___: chunks,
    "tensor_split": lambda _, pieces=1, *__, **___: pieces,
}
"""Tensors that an operation gives out of one."""

WORK: dict[str, Callable[..., float]] = {
    **dict.fromkeys(("@", "@=", "matmul", "mm", "bmm"), _multiplied),
    **dict.fromkeys(
        (
            "svd",
            "eigh",
            "eigvalsh",
            "qr",
            "inv",
            "inverse",
            "det",
            "slogdet",
            "logdet",
            "cholesky",
            "pinverse",
            "solve",
        ),
        _factorised,
    ),
    **dict.fromkeys(("avg_pool1d", "max_pool1d"), _pooled(1)),
    **dict.fromkeys(("avg_pool2d", "max_pool2d"), _pooled(2)),
    "matrix_power": _raised,
    "cdist": _attended,
}
"""Multiplications, where they are far more than the elements of operands and result."""
