"""The real application on a real uvicorn; what a worker would do is done through the job store."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from gradline.api.deps import Services
from gradline.api.main import Server, make_server
from gradline.db.records import Fence, Job
from gradline.settings import Settings
from tests.factories import NOTES_SPEC
from tests.waiting import wait_until

NO_REDIS = "redis://127.0.0.1:1/0"
BODY: dict[str, Any] = {"kind": "logistic-regression", "spec": NOTES_SPEC}


@dataclass
class Api:
    """A running API, a client of it, and the stores behind it."""

    url: str
    client: httpx2.Client
    services: Services
    server: Server

    def submit(self, **overrides: Any) -> dict[str, Any]:
        answer = self.client.post("/v1/jobs", json=BODY | overrides)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/v1/jobs/{job_id}").json()
        return found

    def claim(self, job_id: str) -> tuple[Job, Fence]:
        """As a worker would, where it is the only job that waits."""
        job = self.services.jobs.claim("cpu", "cpu@test-1", 1)
        assert job is not None
        assert job.id == UUID(job_id)
        return job, Fence(job.id, job.attempt)


StartApi = Callable[..., Api]


@pytest.fixture
def start_api(sqlite_url: str, tmp_path: Path) -> Iterator[StartApi]:
    """Starts an API with settings of the test's own; stopped with the test."""
    with ExitStack() as stack:

        def start(**overrides: Any) -> Api:
            values: dict[str, Any] = {
                "home": tmp_path,
                "database_url": sqlite_url,
                "redis_url": NO_REDIS,
                "mlflow_tracking_uri": "http://127.0.0.1:1",
                "port": 0,
            }
            return _start(Settings(**values | overrides), stack)

        yield start


@pytest.fixture
def api(start_api: StartApi) -> Api:
    """On SQLite, without Redis."""
    return start_api()


@pytest.fixture
def api_on_each(start_api: StartApi, database_url: str) -> Api:
    """Runs the test on each database."""
    return start_api(database_url=database_url)


@pytest.fixture
def api_with_redis(start_api: StartApi, redis_url: str) -> Api:
    return start_api(redis_url=redis_url)


def _start(settings: Settings, stack: ExitStack) -> Api:
    server = make_server(settings)
    thread = threading.Thread(target=server.run, name="uvicorn")
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive(), "the API did not stop"

    stack.callback(stop)
    wait_until(lambda: server.started or not thread.is_alive(), what="the API has started")
    assert server.started
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    client = stack.enter_context(httpx2.Client(base_url=f"http://{host}:{port}", trust_env=False, timeout=30))
    return Api(str(client.base_url).rstrip("/"), client, server.config.app.state.services, server)  # type: ignore[union-attr]
