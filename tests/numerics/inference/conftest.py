"""Jobs over a table, from the uploaded file on."""

import io
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from gradline.errors import CancelRequested
from gradline.storage import ArtifactStore
from tests.numerics.attempts import MemoryAttempt, train
from tests.unit.data.uploads import ID, stored

Run = Callable[..., tuple[dict[str, Any], MemoryAttempt]]


@pytest.fixture
def run(tmp_path) -> Run:
    """Fit `y` of a table: fields of the spec as keywords, `data` those of the data's roles."""

    def run_table(
        table: pd.DataFrame,
        data: dict[str, Any] | None = None,
        stop_at: int | None = None,
        file: str = "csv",
        features_max_bytes: int | None = None,
        **spec: Any,
    ):
        attempt = MemoryAttempt(stop_at=stop_at, reason=CancelRequested("the owner asked"))
        attempt.store = ArtifactStore(f"file://{tmp_path}")
        attempt.features_max_bytes = features_max_bytes
        written = io.BytesIO()
        if file == "csv":
            table.to_csv(written, index=False)
        else:
            table.to_parquet(written)
        attempt.uploads[ID] = stored(attempt.store, written.getvalue(), file)
        roles = {"source": "dataset", "dataset_id": ID, "target": "y"} | (data or {})
        return train(attempt, data=roles, report={"plots": []}, **spec)

    return run_table
