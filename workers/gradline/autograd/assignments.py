"""Executes assignments: names bound, values unpacked, attributes and elements changed."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.autograd.generators import Generators, Signal
from gradline.autograd.library import SET_DATA, SET_ITEM
from gradline.autograd.objects import Instance, UserClass, set_member
from gradline.autograd.values import Context, Frame, kind_of
from gradline.programs import statements as s

_OBJECTS = (Instance, UserClass, torch.nn.Module)


class Assignments(Generators):
    """Executes what binds and changes."""

    def assign(self, target: s.Expression, value: Any) -> None:
        """Binds a name, unpacks, or changes an attribute or an element."""
        if isinstance(target, s.Name):
            self.frame_of(target.name).names[target.name] = value
            self.recorder.assigned(target.name, value)
        elif isinstance(target, s.Sequence):
            self._unpack(target.items, self.items(value))
        elif isinstance(target, s.Subscript):
            self._set_item(self.value(target.object), self.value(target.index), value)
        elif isinstance(target, s.Attribute):
            self.set_attribute(self.value(target.object), target.name, value)
            if isinstance(target.object, s.Name):
                self.recorder.assigned(f"{target.object.name}.{target.name}", value)

    def frame_of(self, name: str) -> Frame:
        """Where a name is bound: here, unless `global` or `nonlocal` says otherwise."""
        frame = self.frame
        if name in frame.globals:
            return frame.root()
        if frame.function is not None and name in frame.function.nonlocals:
            while frame.parent is not None:
                frame = frame.parent
                if name in frame.names:
                    return frame
        return self.frame

    def _unpack(self, targets: tuple[s.Expression, ...], values: list[Any]) -> None:
        star = next((i for i, target in enumerate(targets) if isinstance(target, s.Star)), None)
        if star is not None and len(values) >= len(targets) - 1:
            n_after = len(targets) - star - 1
            middle = values[star : len(values) - n_after]
            values = [*values[:star], middle, *values[len(values) - n_after :]]
        if len(values) > len(targets):
            raise ValueError(f"too many values to unpack (expected {len(targets)})")
        if len(values) < len(targets):
            raise ValueError(f"not enough values to unpack (expected {len(targets)}, got {len(values)})")
        for target, value in zip(targets, values, strict=True):
            self.assign(target.value if isinstance(target, s.Star) else target, value)

    def _set_item(self, receiver: Any, index: Any, value: Any) -> None:
        if isinstance(receiver, Tensor):
            self.apply(SET_ITEM, (receiver, index, value), {})
        elif isinstance(receiver, np.ndarray | torch.nn.Sequential | torch.nn.ModuleList | torch.nn.ModuleDict):
            receiver[index] = value
        elif isinstance(receiver, Instance):
            self.call_method(receiver, "__setitem__", [index, value], {})
        elif isinstance(receiver, list | dict):
            if isinstance(index, slice):
                self.budget.check_items(len(receiver) + len(self.items(value)))
            receiver[self.key(index)] = value
        else:
            raise TypeError(f"'{type(receiver).__name__}' object does not support item assignment")

    def set_attribute(self, receiver: Any, name: str, value: Any) -> None:
        if isinstance(receiver, Context):
            receiver.attributes[name] = value
        elif isinstance(receiver, _OBJECTS):
            set_member(receiver, name, value)
            self.recorder.changed()
        elif kind_of(receiver) != "tensor":
            raise AttributeError(f"'{type(receiver).__name__}' object has no attribute '{name}'")
        elif name == "grad":
            receiver.grad = value
            self.recorder.changed()
        elif name == "requires_grad":
            receiver.requires_grad = value
            self.recorder.changed()
        elif name == "data":
            self.apply(SET_DATA, (receiver, value), {})
        else:
            raise AttributeError(f"'Tensor' object has no attribute '{name}'")

    def _assign(self, node: s.Assign) -> Signal:
        value = self.value(node.value)
        for target in node.targets:
            self.assign(target, value)
        return None

    def _augment(self, node: s.Augment) -> Signal:
        target = node.target
        if isinstance(target, s.Subscript):
            receiver, index = self.value(target.object), self.value(target.index)
            changed = self._augmented(node, self.get_item(receiver, index))
            self._set_item(receiver, index, changed)
        elif isinstance(target, s.Attribute):
            receiver = self.value(target.object)
            self.set_attribute(receiver, target.name, self._augmented(node, self.attribute(receiver, target.name)))
        else:
            self.assign(target, self._augmented(node, self.value(target)))
        return None

    def _augmented(self, node: s.Augment, old: Any) -> Any:
        value = self.value(node.value)
        self.spot = node
        return self.in_place(node.operator, old, value)

    def _delete(self, node: s.Delete) -> Signal:
        for target in node.targets:
            name = getattr(target, "name", "")
            if name not in self.frame.names:
                raise NameError(f"name '{name}' is not defined")
            del self.frame.names[name]
            self.recorder.deleted(name)
        return None
