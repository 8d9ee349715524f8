"""What training makes of rows, the saved model makes of them too: policies, interactions and offsets included."""

from typing import Any

import numpy as np
import pytest

from gradline.scoring import RowsRefused, Scorecard
from gradline.scoring_tables import encode_table, read_rows
from gradline.storage import ArtifactStore
from tests.numerics.attempts import MemoryAttempt, train
from tests.unit.data.uploads import ID, stored

FEATURES = ["age", "city", "zone", "member"]
PAIRS = [["age", "city"], ["city", "zone"], ["age", "member"]]


def table(n: int = 400) -> str:
    """Held-out rows have cities and zones that training rows lack, and values missing where those have none."""
    generator = np.random.default_rng(0)
    lines = ["age,city,zone,member,start,part,y"]
    for i in range(n):
        is_held = i % 4 == 0
        age = "" if i % 7 == 0 else f"{generator.normal(1000, 12):.3f}"
        city = generator.choice(["Ulm", "Bonn", "Kiel", "Aue", ""], p=[0.4, 0.3, 0.2, 0.05, 0.05])
        zone = str(generator.integers(1, 4))
        if is_held and i % 3 == 0:
            city, zone = "Rom", "7"
        member = generator.choice(["true", "false"])
        y = "yes" if generator.random() < (0.7 if city == "Ulm" else 0.4) else "no"
        lines.append(f"{age},{city},{zone},{member},{generator.normal():.3f},{'h' if is_held else 't'},{y}")
    return "\n".join(lines)


def fitted(tmp_path: Any, dtype: str, **preprocess: Any) -> tuple[dict[str, Any], Scorecard]:
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    attempt.uploads[ID] = stored(attempt.store, table().encode())
    data = {"source": "dataset", "dataset_id": ID, "target": "y", "features": FEATURES}
    data |= {"group": "part", "offset": "start", "types": {"zone": "categorical"}}
    result, _ = train(
        attempt,
        data=data,
        split={"validation_fraction": 0.4},
        preprocess={"missing": "indicator", "interactions": PAIRS} | preprocess,
        penalty={"l2": 0.01},
        dtype=dtype,
        inference={"std_errors": "none"},
    )
    return result, Scorecard.parse(attempt.files["model.json"])


def log_losses(card: Scorecard) -> dict[str, float]:
    """Of the model's own predictions, by part."""
    rows = read_rows(table().encode(), "csv")
    p_n = card.respond(card.linear_predictor(encode_table(card, rows)))[:, 1]
    is_yes_n = np.array(rows.column("y").to_pylist()) == "yes"
    is_held_n = np.array(rows.column("part").to_pylist()) == "h"
    loss_n = -np.log(np.where(is_yes_n, p_n, 1 - p_n))
    return {"train": loss_n[~is_held_n].mean(), "validation": loss_n[is_held_n].mean()}


@pytest.mark.parametrize("unseen", ["ignore", "own_level"])
@pytest.mark.parametrize("missing", ["indicator", "mean", "median", "most_frequent"])
def test_the_model_predicts_as_training_did(tmp_path, missing: str, unseen: str):
    result, card = fitted(tmp_path, "float64", missing=missing, unseen=unseen)
    for part, loss in log_losses(card).items():
        assert loss == pytest.approx(result["metrics"][part]["log_loss"], rel=1e-9), part


@pytest.mark.parametrize(
    ("dtype", "sparse", "tolerance"), [("float64", True, 1e-9), ("float32", False, 1e-5), ("float32", True, 1e-4)]
)
def test_it_does_so_whatever_the_features_are_kept_in(tmp_path, dtype: str, sparse: bool, tolerance: float):
    result, card = fitted(tmp_path, dtype, sparse=sparse)
    for part, loss in log_losses(card).items():
        assert loss == pytest.approx(result["metrics"][part]["log_loss"], rel=tolerance), part


def test_levels_beyond_the_limit_are_the_same_level_in_both(tmp_path):
    result, card = fitted(tmp_path, "float64", max_levels=3)
    names = [c["feature"] for c in result["coefficients"]]
    assert "city=(other)" in names
    for part, loss in log_losses(card).items():
        assert loss == pytest.approx(result["metrics"][part]["log_loss"], rel=1e-9), part


def test_a_model_that_refuses_unseen_levels_names_column_and_level(tmp_path):
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    attempt.uploads[ID] = stored(attempt.store, b"city,y\nUlm,0\nBonn,1\nUlm,1\nBonn,0\nUlm,1\n")
    data = {"source": "dataset", "dataset_id": ID, "target": "y"}
    train(attempt, data=data, preprocess={"unseen": "error"}, penalty={"l2": 0.1})
    card = Scorecard.parse(attempt.files["model.json"])
    with pytest.raises(RowsRefused, match=r"rows\[1\].city") as refused:
        card.encode_rows([{"city": "Ulm"}, {"city": "Rom"}])
    assert [fault.value for fault in refused.value.faults] == ["Rom"]
