"""Who is alive and what waits."""

from contextlib import closing

import redis

from gradline.api.deps import Services
from gradline.api.probes import BROKER_TIMEOUT_S
from gradline.api.workers.schemas import LaneList, LaneView, WorkerJob, WorkerList, WorkerView
from gradline.clock import utc_now
from gradline.db.records import Job, LaneDepth
from gradline.db.workers import Worker
from gradline.lanes import Lane, connect_redis


def list_workers(services: Services, owner: str) -> WorkerList:
    running = services.jobs.running()
    return WorkerList(items=[_worker_view(w, running, owner) for w in services.workers.list_alive()])


def list_lanes(services: Services) -> LaneList:
    """Every lane that has a worker or a job, and the two that a job may ask for."""
    depths = {depth.lane: depth for depth in services.jobs.lane_depths()}
    workers = services.workers.list_alive()
    lanes = sorted({Lane.CPU.value, Lane.GPU.value, *depths, *(worker.lane for worker in workers)})
    rings = _waiting_rings(services.settings.redis_url, lanes)
    return LaneList(items=[_lane_view(lane, depths.get(lane), workers, rings) for lane in lanes])


def _worker_view(worker: Worker, running: list[Job], owner: str) -> WorkerView:
    mine = [job for job in running if job.worker_id == worker.id]
    jobs = [
        WorkerJob(**{name: getattr(job, name) for name in WorkerJob.model_fields}) for job in mine if job.owner == owner
    ]
    return WorkerView(**vars(worker), n_running=len(mine), jobs=jobs)


def _lane_view(lane: str, depth: LaneDepth | None, workers: list[Worker], rings: dict[str, int]) -> LaneView:
    since = depth.oldest_queued_at if depth else None
    return LaneView(
        lane=lane,
        n_queued=depth.n_queued if depth else 0,
        n_running=depth.n_running if depth else 0,
        n_workers=sum(worker.lane == lane for worker in workers),
        oldest_wait_s=None if since is None else max(0.0, (utc_now() - since).total_seconds()),
        n_waiting_rings=rings.get(lane),
        n_ended_last_minute=depth.n_finished_last_minute if depth else 0,
    )


def _waiting_rings(redis_url: str, lanes: list[str]) -> dict[str, int]:
    """Empty where Redis does not answer soon."""
    try:
        with closing(connect_redis(redis_url, BROKER_TIMEOUT_S)) as client, client.pipeline(transaction=False) as pipe:
            for lane in lanes:
                pipe.llen(lane)
            return dict(zip(lanes, pipe.execute(), strict=True))
    except redis.RedisError:
        return {}
