"""The compose cluster as a test drives it: `docker compose` on a real engine, and the API from outside."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx2

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
BASE_IMAGES = ("python:3.11-slim", "redis:7", "postgres:17")


class Engine:
    """A container engine: the one that the script named by GRADLINE_CTR starts, or the one that is running here."""

    def __init__(self) -> None:
        self._script = os.environ.get("GRADLINE_CTR")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("GRADLINE_")}
        self._was_running = True
        if self._script is not None:
            self._was_running = self._answers_at_script()
            self._run_script("up", *BASE_IMAGES)
            self.env |= self._exports()
        if not self._answers():
            raise RuntimeError("no container engine answers, and GRADLINE_CTR names no script that starts one")

    def stop(self) -> None:
        """Only what this test has started."""
        if not self._was_running:
            self._run_script("down")

    def _answers_at_script(self) -> bool:
        env = self.env | self._exports()
        return shutil.which("docker") is not None and self._answers(env)

    def _answers(self, env: dict[str, str] | None = None) -> bool:
        asked = ["docker", "compose", "version"], ["docker", "info"]
        try:
            return all(
                subprocess.run(words, check=False, env=env or self.env, capture_output=True, timeout=30).returncode == 0
                for words in asked
            )
        except OSError:
            return False

    def _exports(self) -> dict[str, str]:
        words = self._run_script("env").removeprefix("export ").split()
        return dict(word.split("=", 1) for word in words)

    def _run_script(self, *arguments: str) -> str:
        assert self._script is not None
        run = subprocess.run([self._script, *arguments], check=False, capture_output=True, text=True, timeout=600)
        if run.returncode != 0:
            raise RuntimeError(f"{self._script} {' '.join(arguments)} ended with {run.returncode}:\n{run.stderr}")
        return run.stdout


class Cluster:
    """One project of its own: other clusters on the same engine are left alone."""

    def __init__(self, engine: Engine, env_file: Path, port: int, mlflow_port: int) -> None:
        self._env_file = env_file
        self.secrets = dict(line.split("=", 1) for line in env_file.read_text().splitlines() if line[:1].isupper())
        self._env = engine.env | {
            "GRADLINE_PORT": str(port),
            "MLFLOW_PORT": str(mlflow_port),
            "GRADLINE_VERSION": "test",
        }
        key = self.secrets["GRADLINE_API_KEY"]
        url = f"http://127.0.0.1:{port}"
        self.api = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30)
        self.mlflow = httpx2.Client(base_url=f"http://127.0.0.1:{mlflow_port}", trust_env=False, timeout=60)

    def compose(self, *arguments: str, timeout_s: float = 300) -> str:
        files = ["-p", "gradline-test", "-f", str(ROOT / "docker-compose.yml"), "--env-file", str(self._env_file)]
        return self._run("docker", "compose", *files, *arguments, timeout_s=timeout_s)

    def up(self) -> None:
        """Everything, healthy; a failure shows what the containers said."""
        try:
            self.compose("up", "-d", "--wait", "--wait-timeout", "400", timeout_s=500)
        except RuntimeError as error:
            listed = self.compose("ps", "-a")
            raise RuntimeError(f"{error}\n{listed}\n{self.compose('logs', '--tail', '40')}") from error

    def docker(self, *arguments: str) -> str:
        return self._run("docker", *arguments, timeout_s=60)

    def python(self, service: str, code: str) -> str:
        """What a line of Python prints in a running container."""
        return self.compose("exec", "-T", service, "python", "-c", code).strip()

    def fails(self, service: str, code: str) -> str:
        """The last line that Python says when it fails in a running container, as it must."""
        try:
            said = self.python(service, code)
        except RuntimeError as error:
            return str(error).strip().splitlines()[-1]
        raise AssertionError(f"{code!r} succeeded in {service}: {said}")

    def states(self) -> dict[str, tuple[str, str]]:
        """Per container: its state and its health."""
        listed = self.compose("ps", "-a", "--format", "{{.Name}} {{.State}} {{.Health}}").splitlines()
        rows = [(line + " ").split(" ") for line in listed]
        return {name.removeprefix("gradline-test-"): (state, health) for name, state, health, *_ in rows}

    def submit(self, body: dict[str, Any]) -> str:
        return str(self.api.post("/v1/jobs", json=body).raise_for_status().json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/v1/jobs/{job_id}").raise_for_status().json()
        return found

    def ended(self, job_id: str, timeout_s: float) -> dict[str, Any]:
        """The job once it has ended; on the way it may be queued again."""
        wait_until(lambda: self.job(job_id)["finished_at"], timeout_s, f"the end of job {job_id}")
        return self.job(job_id)

    def remove(self) -> None:
        self.api.close()
        self.mlflow.close()
        self.compose("down", "-v", "--remove-orphans", "--timeout", "20")

    def _run(self, *words: str, timeout_s: float) -> str:
        run = subprocess.run(
            words, check=False, env=self._env, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s
        )
        if run.returncode != 0:
            raise RuntimeError(f"{' '.join(words)} ended with {run.returncode}:\n{run.stdout}\n{run.stderr}")
        return run.stdout
