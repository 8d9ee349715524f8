"""Serves a scorecard to MLflow: the loader that travels with every model, beside a copy of the scoring code.

MLflow finds `_load_pyfunc` here by name. Nothing is unpickled, and Gradline need not be installed.
"""

from typing import Any

import numpy as np
import pandas as pd

try:
    from gradline_scoring import Scorecard  # as it travels with a model
except ImportError:
    from gradline.scoring import Scorecard


def _load_pyfunc(data_path: str) -> "ServedModel":
    with open(data_path, "rb") as file:
        return ServedModel(Scorecard.parse(file.read()))


class ServedModel:
    """Raw columns in, a frame of predictions out, row for row."""

    def __init__(self, card: Scorecard) -> None:
        self._card = card

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """`prediction`, and for classes `probability of …` each. Rows that do not fit the model raise ValueError."""
        card = self._card
        columns = {name: _as_sent(model_input[name]) for name in card.columns if name in model_input}
        with np.errstate(over="ignore"):
            z_nk = card.linear_predictor(card.encode(columns))
            response = card.respond(z_nk)
        if not card.has_classes:
            return pd.DataFrame({"prediction": response}, index=model_input.index)
        classes = card.document["classes"]
        predicted = [classes[c] for c in card.decide(z_nk)]
        shown = {f"probability of {name}": response[:, c] for c, name in enumerate(classes)}
        return pd.DataFrame({"prediction": predicted} | shown, index=model_input.index)


def _as_sent(column: "pd.Series[Any]") -> list[Any]:
    """Plain values, None where one is missing, whatever pandas made of it."""
    values: list[Any] = column.astype(object).where(column.notna(), None).tolist()
    return [value.item() if isinstance(value, np.generic) else value for value in values]
