"""The data sets that scikit-learn carries."""

from functools import cache
from typing import Any

import torch

from gradline.data.sample import Roles, Sample, sample_of_numbers


def load_builtin(name: str, dtype: torch.dtype) -> Sample:
    """Features in their own units; classes in scikit-learn's order, by their names, or numbers."""
    values, target, names, classes = _read(name)
    target_n = torch.as_tensor(target)
    roles = Roles(target_n.double() if classes is None else target_n.long(), classes)
    return sample_of_numbers(name.replace("_", " "), names, torch.as_tensor(values).to(dtype), roles)


@cache
def _read(name: str) -> tuple[Any, Any, list[str], list[Any] | None]:
    """Importing scikit-learn takes seconds: only jobs that need it pay, and once a process."""
    from sklearn import datasets  # noqa: PLC0415

    bunch = getattr(datasets, f"load_{name}")()
    names = bunch.get("target_names")
    classes = None if names is None else [c.item() if hasattr(c, "item") else c for c in names]
    return bunch.data, bunch.target, [str(f) for f in bunch.feature_names], classes
