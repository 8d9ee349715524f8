"""Around every request: an id, the log line, the counters, and headers that every answer carries."""

import re
import time
from uuid import uuid4

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gradline.api.metrics import Metrics

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
_QUIET = {"/livez", "/readyz", "/metrics"}
log = structlog.get_logger(__name__)


class RequestContext:
    """Plain ASGI, so that streams pass through it untouched."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began = time.perf_counter()
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    *_SECURITY_HEADERS,
                ]
                self._metrics.observe(scope["method"], _template(scope), status, time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            self._log(scope, status, time.perf_counter() - began)

    def _log(self, scope: Scope, status: int, duration_s: float) -> None:
        write = log.debug if scope["path"] in _QUIET else log.info
        write(
            "request", method=scope["method"], path=scope["path"], status=status, duration_ms=round(duration_s * 1e3, 1)
        )


def _request_id(scope: Scope) -> str:
    """The caller's own, where it is one that a log can carry."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            found = str(value, "latin-1")
            if _REQUEST_ID.fullmatch(found):
                return found
    return uuid4().hex


def _template(scope: Scope) -> str:
    """The route's pattern, never the path: ids in labels would grow without end."""
    return str(getattr(scope.get("route"), "path", "unmatched"))
