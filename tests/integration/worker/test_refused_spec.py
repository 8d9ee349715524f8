"""A job whose spec was taken by another version than the one that runs it."""

from collections.abc import Callable

from sqlalchemy import update

from gradline.db.jobs import JobStore
from gradline.db.models import JobRow
from gradline.db.session import Database
from gradline.status import JobStatus
from gradline.worker.runner import Runner
from tests.factories import NOTES_SPEC
from tests.integration.store.steps import reread, submitted
from tests.oracle import check_history

TAKEN_ONCE = NOTES_SPEC | {"solver": NOTES_SPEC["solver"] | {"momentum": 1.5}, "rounds": 3}


def test_a_stored_spec_that_this_version_refuses_fails_the_job_for_good_and_names_every_fault(
    make_runner: Callable[..., Runner], job_store: JobStore, sqlite_url: str
) -> None:
    job = submitted(job_store, max_attempts=3)
    with Database(sqlite_url).write() as connection:
        connection.execute(update(JobRow).where(JobRow.id == job.id).values(spec=TAKEN_ONCE))
    assert make_runner().run_one("cpu")
    ended = reread(job_store, job)
    assert (ended.status, ended.attempt, ended.n_errors) == (JobStatus.FAILED, 1, 0)
    assert ended.error is not None
    assert ended.error["code"] == "spec_refused"
    assert ended.error["faults"] == [
        {"field": "spec.solver.momentum", "value": 1.5, "reason": "Input should be less than 1"},
        {"field": "spec.rounds", "value": 3, "reason": "there is no such field"},
    ]
    assert "spec.solver.momentum: Input should be less than 1" in ended.error["message"]
    assert check_history(job_store, [job.id]) == []
