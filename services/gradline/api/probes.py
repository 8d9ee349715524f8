"""What the process depends on, looked at without ever holding up a request."""

import threading
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import redis

from gradline.db import migrations
from gradline.db.session import Database
from gradline.errors import DependencyDown
from gradline.lanes import connect_redis
from gradline.settings import Settings

MLFLOW_EVERY_S = 3.0
MLFLOW_TIMEOUT_S = 2.0
BROKER_TIMEOUT_S = 0.3
"""Longest time a request may wait for Redis."""


@dataclass(frozen=True)
class Check:
    """One dependency: whether it answers, and what it said."""

    is_ok: bool
    detail: str
    is_fatal: bool
    """Without it no request can be served."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Probes:
    """Looks at the database and the broker when asked, at MLflow from a thread of its own."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._mlflow = Check(is_ok=False, detail="not looked at yet", is_fatal=False)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch_mlflow, name="mlflow-probe", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def checks(self) -> dict[str, Check]:
        return {"database": self._check_database(), "broker": self._check_broker(), "mlflow": self._mlflow}

    def _check_database(self) -> Check:
        try:
            if migrations.is_current(self._database):
                return Check(is_ok=True, detail="answers; its schema is current", is_fatal=True)
        except DependencyDown as down:
            return Check(is_ok=False, detail=down.message, is_fatal=True)
        found = migrations.current(self._database)
        mend = (
            f"schema {found or 'missing'}, {migrations.head()} needed: run `python -m gradline.db.migrations upgrade`"
        )
        return Check(is_ok=False, detail=mend, is_fatal=True)

    def _check_broker(self) -> Check:
        try:
            with closing(connect_redis(self._settings.redis_url, BROKER_TIMEOUT_S)) as client:
                client.ping()
        except redis.RedisError as error:
            return Check(is_ok=False, detail=f"no live progress, jobs start later: {error}", is_fatal=False)
        return Check(is_ok=True, detail="answers", is_fatal=False)

    def _watch_mlflow(self) -> None:
        while True:
            self._mlflow = check_mlflow(self._settings.mlflow_tracking_uri)
            if self._closed.wait(MLFLOW_EVERY_S):
                return


def check_mlflow(tracking_uri: str) -> Check:
    """Ask MLflow's own health address, past any proxy of the environment."""
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"{tracking_uri.rstrip('/')}/health", timeout=MLFLOW_TIMEOUT_S) as answer:
            return Check(is_ok=answer.status == 200, detail=f"answers {answer.status}", is_fatal=False)
    except (URLError, OSError, ValueError) as error:
        return Check(is_ok=False, detail=f"runs are synced later: {error}", is_fatal=False)
