"""What operators do, by the kind of value they are used on."""

import random
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.autograd.library import BINARY, GET_ITEM, IN_PLACE, OPERATIONS, Operation
from gradline.autograd.limits import Budget
from gradline.autograd.objects import Instance, operate, operate_in_place, type_name
from gradline.autograd.plain import bound_plain, check_whole, length_of
from gradline.autograd.precision import double, doubled
from gradline.autograd.record.recorder import Recorder
from gradline.autograd.sizes import SizeGuard

_ITERABLE = (
    list, tuple, dict, str, range, set, Iterator, Instance, torch.nn.Sequential, torch.nn.ModuleList,
    torch.nn.ModuleDict, torch.nn.ParameterList, torch.utils.data.DataLoader, torch.utils.data.Dataset,
)  # fmt: skip
_INDEXED = (
    list, tuple, dict, str, range, np.ndarray, torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict,
    torch.nn.ParameterList, torch.nn.ParameterDict, torch.utils.data.Dataset, Instance,
)  # fmt: skip


class Operations:
    """Operations on values, each within the limits and on record."""

    def __init__(self, budget: Budget, recorder: Recorder) -> None:
        self.budget = budget
        self.guard = SizeGuard(budget)
        self.recorder = recorder
        self.is_double = False
        """Whether everything is computed in float64, for comparing with finite differences."""
        self.has_ended = False
        """Whether what is run now is not the program any more, but a piece of it again."""
        self.random = random.Random()  # noqa: S311  the program's own draws
        self.numpy_random = np.random.RandomState()

    def apply(self, operation: Operation, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The result of an operation, within the limits and on record."""
        if kwargs and "device" in kwargs:
            check_device(kwargs["device"])
        if self.is_double:
            args, kwargs = doubled(args), {name: double(value) for name, value in kwargs.items()}
        if operation.mutates:  # nothing grows in place
            self.recorder.before_mutation(args)
        elif not operation.is_bounded:
            self.guard.check(operation.name, operation.function, args, kwargs)
        made = operation.function(*args, **kwargs)
        self.recorder.operation(operation, args, kwargs, made)
        return made

    def binary(self, sign: str, left: Any, right: Any) -> Any:
        """`left sign right`."""
        if sign in ("in", "not in"):
            return self._contains(right, left) == (sign == "in")
        if isinstance(left, Tensor) or isinstance(right, Tensor):
            return self.apply(BINARY[sign], (left, right), {})
        if isinstance(left, Instance) or isinstance(right, Instance):
            return operate(sign, left, right)
        bound_plain(self.budget, sign, left, right)
        return BINARY[sign].function(left, right)

    def _contains(self, container: Any, item: Any) -> bool:
        if isinstance(container, Tensor):
            return bool(self.binary("==", container, item).any())
        if not isinstance(container, Sized) or (isinstance(container, range) and not isinstance(item, int)):
            container = self.items(container)
        check_whole(self.budget, item, container)
        return item in self.iterable(container)

    def in_place(self, sign: str, left: Any, right: Any) -> Any:
        """`left sign= right`: changes a tensor or a list, gives a new value for the rest."""
        if isinstance(left, Tensor):
            return self.apply(IN_PLACE[sign], (left, right), {})
        if isinstance(left, Instance):
            return operate_in_place(sign, left, right)
        if isinstance(left, list | np.ndarray | set) and sign in IN_PLACE:
            bound_plain(self.budget, sign, left, right)
            return IN_PLACE[sign].function(left, right)
        return self.binary(sign, left, right)

    def truth(self, value: Any) -> bool:
        return bool(value)

    def iterable(self, value: Any) -> Iterable[Any]:
        """What a loop runs over; the rows of a tensor are an operation like any other."""
        if isinstance(value, Tensor):
            return self.apply(OPERATIONS["torch.unbind"], (value,), {})  # type: ignore[no-any-return]
        if isinstance(value, np.ndarray):
            return list(value)
        if not isinstance(value, _ITERABLE):
            raise TypeError(f"'{type_name(value)}' object is not iterable")
        return value

    def items(self, value: Any) -> list[Any]:
        """All of an iterable at once, bounded."""
        iterable = self.iterable(value)
        if isinstance(iterable, Sized):
            self.budget.check_items(length_of(iterable))
        made = list(islice(iterable, self.budget.limits.list_items + 1))
        self.budget.check_items(len(made))
        return made

    def key(self, value: Any) -> Any:
        """A value as a key of a dict: Python walks through all of a tuple for that."""
        if isinstance(value, tuple):
            check_whole(self.budget, value)
        return value

    def get_item(self, receiver: Any, index: Any) -> Any:
        if isinstance(receiver, Tensor):
            return self.apply(GET_ITEM, (receiver, index), {})
        if isinstance(receiver, _INDEXED):
            return receiver[self.key(index)]
        raise TypeError(f"'{type_name(receiver)}' object is not subscriptable")


def check_device(device: Any) -> None:
    """Only the processor and CUDA devices hold values."""
    name = str(device)
    if device is not None and not isinstance(device, int) and name.split(":", maxsplit=1)[0] not in ("cpu", "cuda"):
        raise RuntimeError(f"device {name[:20]!r} is not available to a program: use 'cpu' or 'cuda'")
