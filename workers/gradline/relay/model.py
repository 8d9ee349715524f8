"""The model of a fit as an MLflow model: it takes the raw columns, with signature, input example and requirements.

What is stored is the scorecard, the code that scores with it and a loader: `mlflow.pyfunc.load_model` and
`mlflow models serve` predict as the API does, missing values and unseen levels included. Nothing is pickled.
"""

import re
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

from gradline import scoring
from gradline.relay import served
from gradline.scoring import Scorecard

CODE = {"gradline_scoring.py": scoring.__file__, "gradline_served.py": served.__file__}
"""What travels with every model, under names that clash with nothing."""
REQUIREMENTS = {"mlflow": "mlflow-skinny", "numpy": "numpy", "pandas": "pandas"}
"""What a process that loads the model needs, each with the distribution here that tells the version: a relay may have
the small MLflow only, which a whole one always includes at the same version."""
_any_type: Any = AnyType  # it carries no types of its own
ANY = _any_type()
"""Of every column; the scoring code tells what it refuses. Not `double`: MLflow refuses whole numbers of 64 bits for
such a column, which is how pandas keeps a column of them. Not `boolean`: where MLflow reads JSON for such a column it
takes null for false, without a word. Not `string`: of a missing text in `inputs` of a request, or in a frame that Arrow
keeps, it makes a text such as "None", without a word, and it refuses categories."""


@dataclass(frozen=True)
class Home:
    """Where a model belongs, and what it is called."""

    experiment_id: str
    run_id: str
    name: str
    params: dict[str, str]
    step: int


def log_model(client: MlflowClient, scorecard: bytes, home: Home) -> str:
    """Give the run its model, once however often this is called; returns the model's id."""
    model = _find_or_create(client, home)
    model_id = str(model.model_id)
    if model.status != LoggedModelStatus.READY:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            _save(scorecard, path, Model(artifact_path=model.artifact_location, run_id=home.run_id, model_id=model_id))
            client.log_model_artifacts(model_id, str(path))
        _name_as_output(client, home, model_id)
        client.finalize_logged_model(model_id, LoggedModelStatus.READY)
    return model_id


def register(client: MlflowClient, name: str, model_id: str, home: Home) -> None:
    """Make the run's model a version of the registered model of this name, once however often this is called."""
    of_run = f"name = '{name}' and run_id = '{home.run_id}'"
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    if not client.search_model_versions(of_run, max_results=1):
        client.create_model_version(name, f"models:/{model_id}", home.run_id, model_id=model_id, await_creation_for=0)


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


def _save(scorecard: bytes, path: Path, mlflow_model: Model) -> None:
    card = Scorecard.parse(scorecard)
    example = pd.DataFrame(card.document["examples"]["rows"])
    answers = served.ServedModel(card).predict(example)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        data = Path(folder) / "model.json"
        data.write_bytes(scorecard)
        code = [str(copyfile(source, Path(folder) / name)) for name, source in CODE.items()]
        warnings.simplefilter("ignore", DeprecationWarning)  # mlflow asks pandas about the example in an old way
        mlflow.pyfunc.save_model(
            path,
            loader_module="gradline_served",
            data_path=str(data),
            code_paths=code,
            mlflow_model=mlflow_model,
            signature=ModelSignature(_inputs(card), _outputs(answers)),
            input_example=example,
            pip_requirements=[f"{name}=={version(here).split('+')[0]}" for name, here in REQUIREMENTS.items()],
            metadata=_metadata(card),
        )


def _inputs(card: Scorecard) -> Schema:
    """Every column; those where a value may be missing are optional, which is how MLflow lets null pass."""
    columns: list[ColSpec | TensorSpec] = [
        ColSpec(ANY, i["column"], required=(i["missing"] if i["type"] == "text" else i["fill"]) is None)
        for i in card.document["inputs"]
    ]
    if card.offset is not None:
        columns.append(ColSpec(ANY, card.offset.column))
    return Schema(columns)


def _outputs(answers: pd.DataFrame) -> Schema:
    kinds = {"b": "boolean", "i": "long", "f": "double"}
    return Schema([ColSpec(kinds.get(answers[name].dtype.kind, "string"), name) for name in answers])


def _metadata(card: Scorecard) -> dict[str, Any]:
    told = ("format", "version", "family", "target", "classes", "threshold")
    types = {i["column"]: i["type"] for i in card.document["inputs"]}
    return {name: card.document[name] for name in told} | {"column_types": types}
