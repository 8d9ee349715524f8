"""The data sets that scikit-learn carries."""

from functools import cache
from typing import Any

import torch

from gradline.data.sample import NumericBlock, Sample


def load_builtin(name: str, dtype: torch.dtype) -> Sample:
    """Features in their own units; classes in scikit-learn's order, by their names."""
    values, target, names, classes = _read(name)
    block = NumericBlock(names, torch.as_tensor(values).to(dtype))
    return Sample(name.replace("_", " "), [block], torch.as_tensor(target).long(), classes)


@cache
def _read(name: str) -> tuple[Any, Any, list[str], list[Any]]:
    """Importing scikit-learn takes seconds: only jobs that need it pay, and once a process."""
    from sklearn import datasets  # noqa: PLC0415

    bunch = getattr(datasets, f"load_{name}")()
    classes = [c.item() if hasattr(c, "item") else c for c in bunch.target_names]
    return bunch.data, bunch.target, [str(f) for f in bunch.feature_names], classes
