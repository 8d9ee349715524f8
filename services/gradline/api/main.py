"""The API process: `python -m gradline.api.main`, or `gradline api`."""

import resource
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import structlog
import uvicorn
from fastapi import FastAPI

from gradline.api import errors, health, openapi, pages
from gradline.api.auth import is_loopback
from gradline.api.datasets import routes as datasets
from gradline.api.deps import Services
from gradline.api.examples import routes as examples
from gradline.api.jobs import routes as jobs
from gradline.api.metrics import Metrics
from gradline.api.middleware import RequestContext
from gradline.api.predictions import routes as predictions
from gradline.api.workers import routes as workers
from gradline.errors import DependencyDown
from gradline.logs import configure_logging
from gradline.settings import Settings

GRACE_S = 3
"""How long requests may take to end once the process is told to stop; streams are ended at once."""
KEEP_ALIVE_S = 65
"""An idle connection is kept this long, longer than clients and proxies do: then it is they who close it."""
log = structlog.get_logger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """The application; its threads and connections begin with its lifespan."""
    services = Services.of(settings)
    app = FastAPI(
        title="Gradline",
        version=openapi.VERSION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    app.state.metrics = Metrics(services.jobs, services.workers)
    app.add_middleware(RequestContext, metrics=app.state.metrics)
    errors.install(app)
    for noun in (jobs, predictions, datasets, examples, workers, health, pages):
        app.include_router(noun.router)
    app.mount("/docs/static", pages.static_files(), name="static")
    openapi.install(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    services.bell.start()
    services.probes.start()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(services.watcher.run)
        yield
        tasks.cancel_scope.cancel()
    services.probes.close()
    await anyio.to_thread.run_sync(services.bell.close)
    services.database.close()


class Server(uvicorn.Server):
    """Ends the event streams when it shuts down; they would hold it open otherwise."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.services.watcher.stop()  # type: ignore[union-attr]  # the FastAPI of `serve`
        await super().shutdown(sockets)


def make_server(settings: Settings) -> Server:
    """A server that has not begun to listen."""
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        server_header=False,
        ws="none",
    )
    return Server(config)


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    configure_logging(settings)
    _allow_many_streams()
    server = make_server(settings)
    refusal = _refusal(settings, server.config.app.state.services)  # type: ignore[union-attr]  # our FastAPI
    if refusal is not None:
        log.error("refused_to_start", reason=refusal)
        return 2
    server.run()
    return 0 if server.started else 3


def _allow_many_streams() -> None:
    """Every open stream holds a file; login shells often allow 1,024 of them where the system allows many more."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _refusal(settings: Settings, services: Services) -> str | None:
    """Why the API may not be served to others; None where it may."""
    if is_loopback(settings.host):
        return None
    try:
        if services.gate.needs_key():
            return None
    except DependencyDown as down:
        return f"whether there is an API key cannot be told: {down}"
    return (
        f"GRADLINE_HOST is {settings.host}, which others can reach, and there is no API key: "
        "set GRADLINE_API_KEY (for example to the output of `openssl rand -hex 32`), or listen on 127.0.0.1"
    )


if __name__ == "__main__":
    sys.exit(run(Settings()))
