"""Checkpoints as bytes: a safetensors file whose header carries the small things as JSON. Nothing is unpickled."""

import json
import struct
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

VERSION = 3


class UnknownCheckpoint(ValueError):
    """The bytes are no checkpoint of this version."""


def pack(tensors: dict[str, Tensor], numbers: dict[str, Any]) -> bytes:
    header = {"version": VERSION, **numbers}
    data: bytes = save({n: t.contiguous().cpu() for n, t in tensors.items()}, metadata={"gradline": json.dumps(header)})
    return data


def unpack(data: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Raises UnknownCheckpoint."""
    try:
        (n_bytes,) = struct.unpack_from("<Q", data)
        numbers = json.loads(json.loads(data[8 : 8 + n_bytes])["__metadata__"]["gradline"])
        tensors = load(data)
    except Exception as error:
        raise UnknownCheckpoint(f"not a checkpoint: {error}") from error
    if numbers.pop("version") != VERSION:
        raise UnknownCheckpoint("a checkpoint of another version of the format")
    return tensors, numbers
