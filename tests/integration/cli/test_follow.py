"""Following a job over an API that comes and goes: a real HTTP server that breaks off where it is told."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from gradline.cli.client import Client
from gradline.cli.follow import follow
from gradline.errors import CallerError, Conflict, DependencyDown, InvalidInput, NotFound, TooLarge, Unauthorized

EVENTS = ["submitted", "started", "metric", "metric", "checkpoint", "ended"]


class BreakingApi(BaseHTTPRequestHandler):
    """Sends two events a connection, then breaks off; answers 503 to every third request."""

    asked_after: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        after = self.headers.get("Last-Event-ID")
        self.asked_after.append(after)
        if len(self.asked_after) % 3 == 0:
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"retry: 1000\n\n")
        first = int(after or 0)
        for number, kind in list(enumerate(EVENTS, 1))[first : first + 2]:
            body = {"seq": number, "kind": kind, "attempt": 1, "at": "2026-11-22T10:00:00Z", "data": {"number": number}}
            self.wfile.write(f"event: {kind}\nid: {number}\ndata: {json.dumps(body)}\n\n".encode())
            tick = {"seq": None, "kind": "tick", "attempt": None, "at": "2026-11-22T10:00:00Z", "data": {}}
            self.wfile.write(f"event: tick\ndata: {json.dumps(tick)}\n\n: keep-alive\n\n".encode())

    def do_POST(self) -> None:
        status, problem = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["answer"]
        body = json.dumps(problem).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[Client]:
    BreakingApi.asked_after.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), BreakingApi) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with Client(f"http://127.0.0.1:{server.server_port}") as client:
            yield client
        server.shutdown()
        thread.join()


def test_every_event_is_seen_once_and_in_order_over_broken_connections(api: Client) -> None:
    said: list[str] = []
    seen = [event for event in follow(api, "1", said.append) if event.kind != "tick"]
    assert [event.kind for event in seen] == EVENTS
    assert [event.data["number"] for event in seen] == [1, 2, 3, 4, 5, 6]
    assert BreakingApi.asked_after == [None, "2", "4", "4"]
    assert len(said) == 1, "the 503 was told, the ends of the stream were not"


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, Unauthorized), (404, NotFound), (409, Conflict), (413, TooLarge), (415, CallerError), (503, DependencyDown)],
)
def test_a_problem_document_becomes_the_error_it_came_from(api: Client, status: int, error: type[Exception]) -> None:
    with pytest.raises(error, match="because of that"):
        api.submit({"answer": [status, {"detail": "because of that"}]})


def test_the_faults_of_refused_input_keep_field_value_and_reason(api: Client) -> None:
    fault = {"field": "spec.seed", "value": -1, "reason": "too small"}
    with pytest.raises(InvalidInput) as caught:
        api.submit({"answer": [422, {"detail": "bad", "errors": [fault]}]})
    assert [fault.as_dict() for fault in caught.value.faults] == [fault]


def test_an_answer_that_is_no_document_is_still_an_error(api: Client) -> None:
    with pytest.raises(CallerError, match="HTTP 418"):
        api.submit({"answer": [418, "teapot"]})
