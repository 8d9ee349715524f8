"""What the bits of a fit depend on besides its spec and data."""

from functools import cache
from importlib.metadata import version
from typing import Any

import torch

from gradline.errors import PermanentError
from gradline.lanes import Lane


def choose_device(asked: str, lane: str) -> torch.device:
    """`auto` takes a GPU only for a job of the gpu lane. Raises PermanentError for a GPU that is not there."""
    if asked == "cuda" and not torch.cuda.is_available():
        raise PermanentError(
            "spec.device is cuda, but this worker has no CUDA device; submit to the gpu lane, or set device to auto",
            code="no_cuda_device",
        )
    use_gpu = asked == "cuda" or (asked == "auto" and lane == Lane.GPU and torch.cuda.is_available())
    return torch.device("cuda" if use_gpu else "cpu")


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
        "gradline": version("gradline"),
    }
