"""Uploads in memory, as the worker sees them."""

from types import SimpleNamespace
from typing import Any

from gradline.specs import parse_spec
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.storage import ArtifactStore
from gradline.tables import profile

ID = "00000000-0000-0000-0000-000000000000"


def stored(store: ArtifactStore, data: bytes, format: str = "csv") -> Any:  # noqa: A002  the API's word
    """A file in the store, with what `datasets` says of it."""
    return SimpleNamespace(name="a table", sha256=store.put(data).sha256, **vars(profiled(data, format)))


def profiled(data: bytes, format: str = "csv") -> Any:  # noqa: A002  the API's word
    """What a submit looks at."""
    n_rows, columns = profile(data, format)
    return SimpleNamespace(format=format, n_rows=n_rows, columns=columns)


def spec_of(data: dict[str, Any] | None = None, **parts: Any) -> LogisticRegressionSpec:
    """A spec over an upload with the target `y`."""
    spec = parse_spec(
        "logistic-regression", {"data": {"source": "dataset", "dataset_id": ID, "target": "y"} | (data or {})} | parts
    )
    assert isinstance(spec, LogisticRegressionSpec)
    return spec
