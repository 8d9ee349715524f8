"""The process `gradline relay`."""

import os
import signal
import sys
from types import FrameType

import structlog

from gradline.clock import new_id
from gradline.db.session import Database
from gradline.logs import configure_logging
from gradline.settings import Settings
from gradline.storage import ArtifactStore

CLIENT_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""MLflow's client takes these from the environment only. With its defaults a call blocks four minutes when the server
is away; the relay waits by itself, for all runs at once."""

ABSENT = "dbruntime"
"""MLflow's client looks for it through all of the path twice a call: a seventh of the relay's processor time."""

log = structlog.get_logger(__name__)


def run(settings: Settings) -> None:
    """Carry runs until SIGTERM or SIGINT."""
    configure_logging(settings)
    os.environ.update(CLIENT_ENVIRONMENT)
    sys.modules.setdefault(ABSENT, None)  # type: ignore[arg-type]  # None: known to be absent
    from gradline.relay.relay import Relay  # noqa: PLC0415  mlflow reads its environment when it is imported
    from gradline.relay.tracking import Tracking  # noqa: PLC0415

    database = Database(settings.database, pool_size=2)
    relay = Relay(
        database,
        ArtifactStore(settings.store_url),
        Tracking(settings.mlflow_tracking_uri),
        f"{settings.hostname}:{os.getpid()}:{new_id().hex[-8:]}",
        tick_s=settings.relay_tick_s,
    )

    def stop(signum: int, _: FrameType | None) -> None:
        log.info("relay_stopping", signal=signal.Signals(signum).name)
        relay.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("relay_started", mlflow=settings.mlflow_tracking_uri)
    try:
        relay.run()
    finally:
        database.close()
    log.info("relay_stopped")


if __name__ == "__main__":
    run(Settings())
