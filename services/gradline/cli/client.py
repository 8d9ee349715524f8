"""The API as the commands use it: one place for addresses, keys, retries and errors."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx2

from gradline.embedded.home_lock import find_running
from gradline.errors import (
    CallerError,
    Conflict,
    DependencyDown,
    InputFault,
    InvalidInput,
    NotFound,
    TooLarge,
    Unauthorized,
)
from gradline.settings import Settings

TIMEOUT = httpx2.Timeout(30.0, connect=5.0)
STREAM_SILENCE_S = 60.0
"""The API sends a comment every 15 s; a stream silent for longer is dead."""
SUBMIT_TRIES = 3
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Event:
    """One event of a job's stream."""

    kind: str
    """An EventKind, or `tick`."""
    id: str
    """Where to go on from after a break; empty while only ticks have been seen."""
    attempt: int
    at: str
    data: dict[str, Any]


class Client:
    """Calls raise CallerError for what the caller can mend and DependencyDown where the API does not answer."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self.url = url.rstrip("/")
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            reason = "must begin with http:// or https://, as in http://127.0.0.1:8000"
            raise InvalidInput([InputFault("GRADLINE_URL", url, reason)])
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # A proxy from the environment must not stand between us and this machine.
        is_local = urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        self._http = httpx2.Client(base_url=self.url, headers=headers, timeout=TIMEOUT, trust_env=not is_local)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """GRADLINE_URL where it is set; else the stack that runs on this data folder; else the default address."""
        key = settings.api_key.get_secret_value() if settings.api_key else None
        running = None if "url" in settings.model_fields_set else find_running(settings.home)
        return cls(running.url if running else settings.url, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def submit(self, body: Mapping[str, Any], idempotency_key: str | None = None) -> dict[str, Any]:
        """The job. A lost answer is asked for again under the same key, so the job is never submitted twice."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
        for left in reversed(range(SUBMIT_TRIES)):
            try:
                return self._object("POST", "/v1/jobs", json=body, headers=headers)
            except DependencyDown:
                if not left:
                    raise
        raise AssertionError("unreachable")

    def job(self, job_id: str) -> dict[str, Any]:
        return self._object("GET", f"/v1/jobs/{quote(job_id, safe='')}")

    def list_jobs(self, n: int, **filters: str | None) -> list[dict[str, Any]]:
        """The newest `n` jobs."""
        wanted = {name: value for name, value in filters.items() if value}
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while len(items) < n:
            page = self._object("GET", "/v1/jobs", params={**wanted, **cursor, "limit": min(n - len(items), 100)})
            items += page["items"]
            if not page.get("next_cursor"):
                break
            cursor = {"cursor": page["next_cursor"]}
        return items[:n]

    def cancel(self, job_id: str) -> dict[str, Any]:
        return self._object("POST", f"/v1/jobs/{quote(job_id, safe='')}/cancel")

    def list_examples(self) -> list[dict[str, Any]]:
        return _items(self._object("GET", "/v1/examples"))

    def example(self, name: str) -> dict[str, Any]:
        return self._object("GET", f"/v1/examples/{quote(name, safe='')}")

    def list_workers(self) -> list[dict[str, Any]]:
        return _items(self._object("GET", "/v1/workers"))

    def readiness(self) -> dict[str, Any]:
        """What `/readyz` says, also where it says no."""
        response = self._send("GET", "/readyz")
        found: dict[str, Any] = response.json()
        return found

    def upload(self, path: Path, name: str | None = None, format: str | None = None) -> dict[str, Any]:  # noqa: A002
        """Send a file as it is read; the data set as the API describes it."""
        params = {"name": name or path.name, "format": format or path.suffix.lstrip(".").lower()}
        with path.open("rb") as file:
            blocks = iter(lambda: file.read(BLOCK_BYTES), b"")
            return self._object("POST", "/v1/datasets", params=params, content=blocks)

    def artifacts(self, job_id: str) -> dict[str, Any]:
        """`items`, and the names of plots that are still `pending`."""
        return self._object("GET", f"/v1/jobs/{quote(job_id, safe='')}/artifacts")

    def download(self, job_id: str, name: str, target: Path) -> None:
        address = f"/v1/jobs/{quote(job_id, safe='')}/artifacts/{quote(name)}"
        with _transport_errors(self.url), self._http.stream("GET", address) as response:
            _raise_for(response)
            with target.open("wb") as file:
                for block in response.iter_bytes():
                    file.write(block)

    def predict(self, job_id: str, path: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Predictions of a job's model for the rows of a CSV file. `asked`: what is told beside them."""
        address, headers = f"/v1/jobs/{quote(job_id, safe='')}/predict", {"Content-Type": "text/csv"}
        return self._object("POST", address, content=path.read_bytes(), headers=headers, params=asked)

    def events(self, job_id: str, last_event_id: str = "") -> Iterator[Event]:
        """What has happened to the job after that event, then what happens; ends when the API ends the stream."""
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        timeout = httpx2.Timeout(TIMEOUT.read, read=STREAM_SILENCE_S)
        address = f"/v1/jobs/{quote(job_id, safe='')}/events"
        with _transport_errors(self.url), self._http.sse(address, headers=headers, timeout=timeout) as source:
            _raise_for(source.response)
            for message in source:
                if not message.data:  # it only says how long to wait before reconnecting
                    continue
                body = json.loads(message.data)
                yield Event(message.event, message.id, body.get("attempt") or 0, body["at"], body.get("data") or {})

    def _object(self, method: str, address: str, **request: Any) -> dict[str, Any]:
        response = self._send(method, address, **request)
        _raise_for(response)
        found: dict[str, Any] = response.json()
        return found

    def _send(self, method: str, address: str, **request: Any) -> httpx2.Response:
        with _transport_errors(self.url):
            return self._http.request(method, address, **request)


@contextmanager
def _transport_errors(url: str) -> Iterator[None]:
    try:
        yield
    except httpx2.InvalidURL as error:
        raise CallerError(f"{url} is no address of an API: {error}") from error
    except httpx2.TransportError as error:
        raise DependencyDown(f"the API at {url} does not answer: {error or type(error).__name__}") from error


def _raise_for(response: httpx2.Response) -> None:
    """A problem document as the error of ours that it came from."""
    if response.is_success:
        return
    response.read()
    problem = _problem_of(response)
    message = str(problem.get("detail") or problem.get("title") or f"HTTP {response.status_code}")
    if response.status_code >= 500:
        raise DependencyDown(f"the API at {response.url.host} failed with {response.status_code}: {message}")
    faults = [
        InputFault(str(fault.get("field", "")), fault.get("value"), str(fault.get("reason", "")))
        for fault in problem.get("errors") or []
    ]
    if response.status_code == 422 and faults:
        raise InvalidInput(faults, message)
    raise ERRORS.get(response.status_code, CallerError)(message)


ERRORS: dict[int, Callable[[str], CallerError]] = {
    401: Unauthorized,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
}


def _problem_of(response: httpx2.Response) -> dict[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _items(page: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page["items"]
    return found
