"""The model of a fit as an MLflow model: a torch.export graph with signature, input example and requirements.

It takes the numeric design matrix on the columns' own scale and gives one probability per class. Weights and example
are plain tensors: the model also loads where MLflow is told to refuse pickle.
"""

import json
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow.pytorch
import numpy as np
import torch
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec
from safetensors.torch import load

WEIGHTS_FILE = "model.safetensors"
DESCRIPTION_FILE = "model.json"
REQUIREMENTS = {"mlflow": "mlflow-skinny", "torch": "torch", "numpy": "numpy"}
"""What a process that loads the model needs, each with the distribution here that tells the version: a relay may have
the small MLflow only, which a whole one always includes at the same version."""


class Probabilities(torch.nn.Module):  # type: ignore[misc]  # torch carries no types here
    """One probability per class: `softmax(x W' + b)`; with two classes one row of W is enough: `sigmoid(x w' + b)`."""

    def __init__(self, weight_kd: torch.Tensor, bias_k: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weight_kd", weight_kd)
        self.register_buffer("bias_k", bias_k)

    def forward(self, x_nd: torch.Tensor) -> torch.Tensor:
        margin_nk = x_nd @ self.weight_kd.T + self.bias_k
        if margin_nk.shape[1] > 1:
            return torch.softmax(margin_nk, dim=1)
        return torch.cat([torch.sigmoid(-margin_nk), torch.sigmoid(margin_nk)], dim=1)


@dataclass(frozen=True)
class Fit:
    """What a job stored of its model, read back."""

    module: Probabilities
    description: dict[str, Any]
    example_nd: np.ndarray

    @classmethod
    def read(cls, weights: bytes, description: bytes) -> "Fit":
        tensors, described = load(weights), json.loads(description)
        weight_kd, bias_k = tensors["coefficients"], tensors["intercepts"]
        # At least two rows: torch.export would take a single row for a constant batch size of 1.
        example = described.get("input_example") or np.zeros((2, weight_kd.shape[1]))
        return cls(Probabilities(weight_kd, bias_k), described, np.asarray(example, weight_kd.numpy().dtype))


@dataclass(frozen=True)
class Home:
    """Where a model belongs, and what it is called."""

    experiment_id: str
    run_id: str
    name: str
    params: dict[str, str]
    step: int


def log_model(client: MlflowClient, fit: Fit, home: Home) -> str:
    """Give the run its model, once however often this is called; returns the model's id."""
    model = _find_or_create(client, home)
    model_id = str(model.model_id)
    if model.status != LoggedModelStatus.READY:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            _save(fit, path, Model(artifact_path=model.artifact_location, run_id=home.run_id, model_id=model_id))
            client.log_model_artifacts(model_id, str(path))
        _name_as_output(client, home, model_id)
        client.finalize_logged_model(model_id, LoggedModelStatus.READY)
    return model_id


def _find_or_create(client: MlflowClient, home: Home) -> LoggedModel:
    of_run = f"source_run_id = '{home.run_id}'"
    found = client.search_logged_models([home.experiment_id], filter_string=of_run, max_results=1)
    if found:
        return found[0]
    name = re.sub(r"[/:.%\"']", "_", home.name)  # the characters that MLflow refuses
    return client.create_logged_model(
        home.experiment_id, name, source_run_id=home.run_id, params=home.params, model_type="logistic-regression"
    )


def _name_as_output(client: MlflowClient, home: Home, model_id: str) -> None:
    """The server answers a repetition with an error, so that it is asked first."""
    outputs = client.get_run(home.run_id).outputs
    if outputs is None or model_id not in [output.model_id for output in outputs.model_outputs]:
        client.log_outputs(home.run_id, [LoggedModelOutput(model_id, step=home.step)])


def _save(fit: Fit, path: Path, mlflow_model: Model) -> None:
    torch.set_num_threads(1)  # the machine's cores belong to training
    with torch.no_grad():
        probabilities_nk = fit.module(torch.from_numpy(fit.example_nd)).numpy()
    mlflow.pytorch.save_model(
        fit.module,
        path,
        mlflow_model=mlflow_model,
        signature=ModelSignature(_schema(fit.example_nd), _schema(probabilities_nk)),
        input_example=fit.example_nd,
        serialization_format="pt2",
        pip_requirements=[f"{name}=={version(here).split('+')[0]}" for name, here in REQUIREMENTS.items()],
        metadata=fit.description,
    )


def _schema(array: np.ndarray) -> Schema:
    return Schema([TensorSpec(array.dtype, (-1, array.shape[1]))])
