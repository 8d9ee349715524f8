"""Prometheus metrics of the API process, and of the queue as the database tells it."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gradline.clock import utc_now
from gradline.db.jobs import JobStore
from gradline.db.workers import WorkerStore
from gradline.errors import DependencyDown


class QueueCollector(Collector):
    """Gauges read from SQL at each scrape; while the database is away they are absent."""

    def __init__(self, jobs: JobStore, workers: WorkerStore) -> None:
        self._jobs = jobs
        self._workers = workers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        n_jobs = GaugeMetricFamily("gradline_jobs", "Jobs that have not ended", labels=["lane", "status"])
        oldest = GaugeMetricFamily("gradline_oldest_wait_seconds", "Age of the oldest queued job", labels=["lane"])
        ended = GaugeMetricFamily("gradline_jobs_ended_last_minute", "Jobs that ended within a minute", labels=["lane"])
        n_workers = GaugeMetricFamily("gradline_workers", "Workers alive", labels=["lane"])
        try:
            depths, workers = self._jobs.lane_depths(), self._workers.list_alive()
        except DependencyDown:
            return
        for depth in depths:
            n_jobs.add_metric([depth.lane, "queued"], depth.n_queued)
            n_jobs.add_metric([depth.lane, "running"], depth.n_running)
            wait = (utc_now() - depth.oldest_queued_at).total_seconds() if depth.oldest_queued_at else 0.0
            oldest.add_metric([depth.lane], max(0.0, wait))
            ended.add_metric([depth.lane], depth.n_finished_last_minute)
        for lane in sorted({worker.lane for worker in workers}):
            n_workers.add_metric([lane], sum(worker.lane == lane for worker in workers))
        yield from (n_jobs, oldest, ended, n_workers)


class Metrics:
    """A registry of its own, so that several applications may live in one process."""

    def __init__(self, jobs: JobStore, workers: WorkerStore) -> None:
        self._registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self._n_requests = Counter("gradline_http_requests", "Requests answered", labels, registry=self._registry)
        self._duration = Histogram(
            "gradline_http_request_duration_seconds",
            "Time until the answer began",
            labels[:2],
            registry=self._registry,
        )
        self._registry.register(QueueCollector(jobs, workers))

    def observe(self, method: str, route: str, status: int, duration_s: float) -> None:
        self._n_requests.labels(method, route, status).inc()
        self._duration.labels(method, route).observe(duration_s)

    def render(self) -> bytes:
        return generate_latest(self._registry)
