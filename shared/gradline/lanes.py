"""Lanes and their doorbells. A ring says only that a lane has work: losing or doubling one is harmless.

The bell is Celery's plain Redis list, one per lane; its length is the autoscaling signal.
"""

import time
from enum import StrEnum

import redis
import structlog
from celery import Celery
from redis.backoff import NoBackoff
from redis.retry import Retry

RING_TASK = "gradline.ring"
SILENCE_S = 5.0
"""How long a broker is left alone that has just failed."""
log = structlog.get_logger(__name__)


class Lane(StrEnum):
    CPU = "cpu"
    GPU = "gpu"
    DRAWING = "drawing"
    """Plots of jobs that have trained; drawn by `gradline worker --lane drawing`, which needs no torch."""


def make_celery(redis_url: str) -> Celery:
    """The Celery application as docs/decisions/0002 argues it: nothing of ours rests on the broker."""
    app = Celery("gradline", broker=_broker_url(redis_url), set_as_current=False)
    app.conf.update(
        task_acks_late=False,
        task_ignore_result=True,
        result_backend=None,
        task_serializer="json",
        accept_content=["json"],
        task_publish_retry=False,
        task_default_exchange="",
        task_default_exchange_type="direct",
        task_create_missing_queues=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_pool_start_method="spawn",
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "visibility_timeout": 7 * 86_400,
        },
    )
    return app


class Doorbell:
    """Rings lanes; a broker that is away is logged, never an error."""

    def __init__(self, redis_url: str) -> None:
        self._app = make_celery(redis_url)
        # Celery would look for a broker that is away for six seconds; a worker between two jobs has no such time.
        self._app.conf.broker_transport_options |= {"socket_timeout": 2, "max_retries": 1, "interval_max": 0}
        self._redis = connect_redis(redis_url)
        self._silent_until = 0.0

    def ring(self, lane: str, times: int = 1) -> bool:
        """Wake up to `times` idle workers. False: the broker did not take it, and the conductor will ring again.

        A broker that has just failed is left alone for a few seconds.
        """
        if time.monotonic() < self._silent_until:
            return False
        try:
            for _ in range(times):
                self._app.send_task(RING_TASK, kwargs={"lane": lane}, queue=lane, retry=False, ignore_result=True)
        except Exception as error:  # noqa: BLE001  kombu raises many kinds; a ring may always be lost
            self._silent_until = time.monotonic() + SILENCE_S
            log.warning("ring_failed", lane=lane, error=str(error))
            return False
        return True

    def waiting(self, lane: str) -> int | None:
        """Rings that no worker has taken yet; None: Redis does not answer."""
        try:
            return int(self._redis.llen(lane))
        except redis.RedisError:
            return None


def connect_redis(url: str, timeout_s: float = 2.0) -> redis.Redis:
    """A client that gives up soon: redis-py 8 would try ten times, 5 s each."""
    return redis.Redis.from_url(
        redis_address(url), socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )


def _broker_url(url: str) -> str:
    return "redis+socket://" + url.removeprefix("unix://") if url.startswith("unix://") else url


def redis_address(url: str) -> str:
    """The broker's address as redis-py spells it."""
    return "unix://" + url.removeprefix("redis+socket://") if url.startswith("redis+socket://") else url
