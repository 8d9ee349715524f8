"""Steps that many tests take: a job submitted, claimed, read again."""

from typing import Any

from sqlalchemy import update

from gradline.db.jobs import JobStore
from gradline.db.models import RunRow
from gradline.db.records import Fence, Job
from gradline.db.session import Database
from gradline.status import EventKind
from tests.factories import new_job


def submitted(job_store: JobStore, **overrides: Any) -> Job:
    return job_store.submit(new_job(**overrides))[0]


def claimed(job_store: JobStore, worker_id: str = "w1", pid: int = 1, lane: str = "cpu") -> Job:
    job = job_store.claim(lane, worker_id, pid)
    assert job is not None
    return job


def running(job_store: JobStore, **overrides: Any) -> Job:
    """A job that a worker has claimed."""
    job = submitted(job_store, **overrides)
    assert claimed(job_store).id == job.id
    return reread(job_store, job)


def reread(job_store: JobStore, job: Job) -> Job:
    found = job_store.find(job.id)
    assert found is not None
    return found


def fence(job: Job) -> Fence:
    return Fence(job.id, job.attempt)


def kinds(job_store: JobStore, job: Job) -> list[EventKind]:
    return [event.kind for event in job_store.events(job.id)]


def close_runs(database: Database, *jobs: Job) -> None:
    """As if MLflow had everything of these jobs."""
    with database.write() as connection:
        connection.execute(update(RunRow).where(RunRow.job_id.in_([job.id for job in jobs])).values(is_closed=True))
