"""Tables prepared as a job would prepare them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from gradline.data.prepare import Prepared, Sources, prepare
from gradline.data.room import Room
from gradline.storage import ArtifactStore
from tests.unit.data.uploads import spec_of, stored

Prepare = Callable[..., Prepared]


@pytest.fixture
def warnings_told() -> dict[str, str]:
    """What `prepared` warned of, by code."""
    return {}


@pytest.fixture
def prepared(tmp_path: Any, warnings_told: dict[str, str]) -> Prepare:
    """A CSV text and the fields of a spec as problems; float64 unless told otherwise, not standardised."""
    store = ArtifactStore(f"file://{tmp_path}")

    def make(
        table: str | bytes,
        data: dict[str, Any] | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        format: str = "csv",  # noqa: A002  the API's word
        **parts: Any,
    ) -> Prepared:
        file = stored(store, table.encode() if isinstance(table, str) else table, format)
        sources = Sources(torch.Generator(), lambda _: file, store, Room())
        spec = spec_of(data, **{"preprocess": {"standardize": False}} | parts)
        return prepare(spec, sources, dtype, warnings_told.__setitem__)

    return make
