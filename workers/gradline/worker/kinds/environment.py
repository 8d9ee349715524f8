"""What the bits of a fit depend on besides its spec and data."""

from functools import cache
from importlib.metadata import version
from typing import Any

import torch


def environment_of(device: torch.device) -> dict[str, Any]:
    """Two attempts with the same environment compute the same bits."""
    return {"device": _device_name(device), "n_threads": torch.get_num_threads(), **_versions()}


def _device_name(device: torch.device) -> str:
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else "cpu"


@cache
def _versions() -> dict[str, str]:
    return {
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "numba": version("numba"),
        "gradline": version("gradline"),
    }
