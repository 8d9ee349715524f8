"""Fixtures of the relay's tests: a real MLflow server for the session."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

with warnings.catch_warnings():  # mlflow warns of its own type hints when it is imported
    warnings.simplefilter("ignore")
    import mlflow.pyfunc  # noqa: F401

from gradline.relay.main import CLIENT_ENVIRONMENT
from tests.integration.relay.bench import Bench
from tests.integration.relay.mlflow_server import Gate, MlflowServer


@pytest.fixture(scope="session", autouse=True)
def client_environment() -> Iterator[None]:
    """What the relay's process sets for MLflow's client."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CLIENT_ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    try:
        server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    except FileNotFoundError as error:
        if os.environ.get("CI"):
            pytest.fail(f"no mlflow command: {error}")
        pytest.skip(f"no mlflow command: {error}")
    yield server
    server.stop()


@pytest.fixture
def bench(sqlite_url: str, tmp_path: Path, mlflow_server: MlflowServer) -> Iterator[Bench]:
    bench = Bench(sqlite_url, tmp_path, mlflow_server.url)
    yield bench
    bench.database.close()


@pytest.fixture
def gate(mlflow_server: MlflowServer) -> Iterator[Gate]:
    """A shut gate before the server."""
    gate = Gate(mlflow_server.port)
    yield gate
    gate.shut()
