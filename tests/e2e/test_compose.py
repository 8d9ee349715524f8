"""The cluster of docker-compose.yml, really brought up and used from outside. The tests share one, in order."""

import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.e2e.cluster import ROOT, Cluster, Engine
from tests.waiting import wait_until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

ONE_SHOT = {"databases-1", "migrate-1"}
LONG_JOB = {
    "kind": "logistic-regression",
    "name": "outlives its worker",
    "spec": {
        "data": {"source": "blobs", "samples_per_class": 2000},
        "solver": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "batch_size": 256},
        "stop": {"max_steps": 200_000},
        "report": {"every": 1000, "plots": []},
        "checkpoint": {"every_s": 0.5},
    },
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    try:
        engine = Engine()
    except (RuntimeError, OSError) as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    yield engine
    engine.stop()


@pytest.fixture(scope="module")
def env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make cluster-env` writes."""
    folder = tmp_path_factory.mktemp("cluster")
    for name in ("Makefile", ".env.example"):
        shutil.copy(ROOT / name, folder)
    subprocess.run(["make", "cluster-env"], cwd=folder, check=True, capture_output=True, timeout=30)
    return folder / ".env"


@pytest.fixture(scope="module")
def cluster(engine: Engine, env_file: Path) -> Iterator[Cluster]:
    cluster = Cluster(engine, env_file, _free_port(), _free_port())
    try:
        cluster.compose("build", timeout_s=900)
        cluster.up()
        yield cluster
    finally:
        cluster.remove()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_secrets_are_generated_for_this_cluster_alone_and_kept(env_file: Path) -> None:
    first = env_file.read_text()
    subprocess.run(["make", "cluster-env"], cwd=env_file.parent, check=True, capture_output=True, timeout=30)

    secrets = [line.split("=")[1] for line in first.splitlines() if "PASSWORD=" in line or "API_KEY=" in line]
    assert len(secrets) == len(set(secrets)) == 5
    assert all(len(secret) == 64 for secret in secrets)
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    assert env_file.read_text() == first


def test_without_secrets_nothing_starts_and_the_message_says_what_to_do(engine: Engine, tmp_path: Path) -> None:
    empty = tmp_path / ".env"
    empty.touch()
    words = ["docker", "compose", "-f", str(ROOT / "docker-compose.yml"), "--env-file", str(empty), "up", "-d"]
    run = subprocess.run(words, check=False, env=engine.env, capture_output=True, text=True, timeout=60)

    assert run.returncode != 0
    assert "make cluster-env" in run.stderr


def test_every_process_comes_up_healthy(cluster: Cluster) -> None:
    states = cluster.states()

    expected = {"postgres", "redis", "mlflow", "api", "conductor", "relay", "worker-cpu", "worker-drawing"}
    assert set(states) == {f"{name}-1" for name in expected} | ONE_SHOT
    assert {name: state for name, state in states.items() if name not in ONE_SHOT} == {
        f"{name}-1": ("running", "healthy") for name in expected
    }
    assert {states[name][0] for name in ONE_SHOT} == {"exited"}
    assert all(check["is_ok"] for check in cluster.api.get("/readyz").json()["checks"].values())


def test_the_api_opens_only_to_the_key(cluster: Cluster) -> None:
    url = cluster.api.base_url

    assert httpx2.get(f"{url}/v1/jobs", trust_env=False).status_code == 401
    assert httpx2.get(f"{url}/v1/jobs", headers={"X-API-Key": "0" * 64}, trust_env=False).status_code == 401
    assert cluster.api.get("/v1/jobs").status_code == 200


def test_the_api_image_holds_no_torch(cluster: Cluster) -> None:
    assert "No module named 'torch'" in cluster.fails("api", "import torch")
    assert "No module named 'mlflow'" in cluster.fails("api", "import mlflow")
    assert cluster.python("worker-cpu", "import torch; print(torch.version.cuda)") == "None"


@pytest.mark.parametrize("service", ["api", "conductor", "relay", "worker-cpu", "worker-drawing", "mlflow"])
def test_a_process_has_no_rights_and_no_way_out(cluster: Cluster, service: str) -> None:
    words = cluster.python(service, "import os; print(os.getuid(), open('/proc/self/status').read())").split()

    assert words[0] == "10001"
    assert set(words[words.index("CapBnd:") + 1]) == {"0"}
    assert words[words.index("NoNewPrivs:") + 1] == "1"
    assert "Read-only file system" in cluster.fails(service, "open('/venv/x', 'w')")
    # An address of the documentation range: no name is looked up and nobody is disturbed.
    outside = cluster.fails(service, "import socket; socket.create_connection(('192.0.2.1', 80), 2)")
    assert "unreachable" in outside or "timed out" in outside


def test_mlflow_cannot_read_the_jobs(cluster: Cluster) -> None:
    code = (
        "import os, psycopg\n"
        "url = os.environ['MLFLOW_BACKEND_STORE_URI'].replace('+psycopg', '')\n"
        "psycopg.connect(url.rsplit('/', 1)[0] + '/gradline')"
    )

    assert "does not have CONNECT privilege" in cluster.fails("mlflow", code)


def test_a_job_from_outside_succeeds_and_its_run_is_in_mlflow(cluster: Cluster) -> None:
    example = cluster.api.get("/v1/examples/notes-logistic-regression").json()
    job_id = cluster.submit(example["body"])

    job = cluster.ended(job_id, 60)
    assert (job["status"], job["error"]) == ("succeeded", None)
    assert job["result"]["steps"] == 380
    wait_until(lambda: cluster.job(job_id)["mlflow"]["synced"], 180, "the run to be in MLflow")
    run_id = cluster.job(job_id)["mlflow"]["run_id"]
    run = cluster.mlflow.get("/api/2.0/mlflow/runs/get", params={"run_id": run_id}).raise_for_status().json()["run"]
    assert {tag["key"]: tag["value"] for tag in run["data"]["tags"]}["gradline.job_id"] == job_id
    asked = {"run_id": run_id, "metric_key": "fit/loss"}
    points = cluster.mlflow.get("/api/2.0/mlflow/metrics/get-history", params=asked).raise_for_status().json()
    assert [int(point["step"]) for point in points["metrics"]] == list(range(0, 381, 20))


def test_plots_are_drawn_and_reach_mlflow(cluster: Cluster) -> None:
    job = cluster.api.get("/v1/jobs", params={"limit": 1}).json()["items"][0]
    wait_until(lambda: _plots_in_mlflow(cluster, job["mlflow"]["run_id"]), 120, "plots in MLflow")


def _plots_in_mlflow(cluster: Cluster, run_id: str) -> list[str]:
    asked = {"run_id": run_id, "path": "plots"}
    listed = cluster.mlflow.get("/api/2.0/mlflow/artifacts/list", params=asked).raise_for_status().json()
    return [file["path"] for file in listed.get("files", [])]


def test_mlflow_refuses_a_foreign_host_name(cluster: Cluster) -> None:
    asked = {"headers": {"Host": "attacker.example"}, "json": {"max_results": 1}}

    assert cluster.mlflow.post("/api/2.0/mlflow/experiments/search", **asked).status_code == 403


def test_a_job_ends_on_another_worker_when_its_own_is_killed(cluster: Cluster) -> None:
    cluster.compose("up", "-d", "--wait", "--no-recreate", "--scale", "worker-cpu=2")
    wait_until(lambda: len(_cpu_workers(cluster)) == 2, 60, "two workers")
    job_id = cluster.submit(LONG_JOB)
    wait_until(lambda: (cluster.job(job_id)["progress"] or {}).get("step"), 60, "a checkpoint of the long job")
    before = cluster.job(job_id)

    cluster.docker("kill", _cpu_workers(cluster)[before["worker_id"]])

    after = cluster.ended(job_id, 300)
    assert (before["status"], before["attempt"]) == ("running", 1)
    assert (after["status"], after["attempt"], after["n_crashes"]) == ("succeeded", 2, 1)
    assert after["result"]["outcome"] == "step_limit"


def _cpu_workers(cluster: Cluster) -> dict[str, str]:
    """The container of each; a container's host name is its id."""
    found = cluster.api.get("/v1/workers").raise_for_status().json()["items"]
    return {worker["id"]: worker["hostname"] for worker in found if worker["lane"] == "cpu"}


def test_jobs_outlive_the_containers(cluster: Cluster) -> None:
    jobs = cluster.api.get("/v1/jobs").json()["items"]

    cluster.compose("down", "--timeout", "20")
    assert cluster.docker("ps", "-aq", "--filter", "label=com.docker.compose.project=gradline-test") == ""
    assert cluster.docker("network", "ls", "-q", "--filter", "label=com.docker.compose.project=gradline-test") == ""

    cluster.compose("up", "-d", "--wait", "api")
    assert [job["id"] for job in cluster.api.get("/v1/jobs").json()["items"]] == [job["id"] for job in jobs]
