"""The order of a lane's queue: highest priority, then fair share between owners, then age.

A claim must not sort the whole queue. It walks the index `ix_jobs_queue` (lane, priority, owner, id) instead: the
highest priority that is ready, its owners by how much each has running, and of the first owner the oldest job.
The statements are built once, here: building one takes longer than running it.
"""

from collections import Counter
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
)

from gradline.db.models import JobRow
from gradline.db.types import db_now

_jobs = JobRow.__table__
ABOVE_ALL = 1_000_000
"""Above every priority."""


def is_queued(jobs: FromClause = _jobs) -> ColumnElement[bool]:
    """Spelled with a literal: with a parameter in its place the partial index would not serve."""
    return jobs.c.status == literal_column("'queued'")


def is_running(jobs: FromClause = _jobs) -> ColumnElement[bool]:
    return jobs.c.status == literal_column("'running'")


def is_ready(jobs: FromClause = _jobs) -> ColumnElement[bool]:
    """Whether a job could be claimed now."""
    return and_(is_queued(jobs), or_(jobs.c.not_before.is_(None), jobs.c.not_before <= db_now()))


def pick(connection: Connection, lane: str) -> UUID | None:
    """The job to claim next, its row locked; None where nothing is ready that no other claim holds."""
    below = ABOVE_ALL
    while turns := connection.execute(_TURNS, {"in_lane": lane, "below": below}).all():
        for priority, owner, oldest in turns:
            job_id = oldest if connection.dialect.name == "sqlite" else _lock_oldest(connection, lane, priority, owner)
            if job_id is not None:
                return job_id
            below = priority
    return None


def _lock_oldest(connection: Connection, lane: str, priority: int, owner: str) -> UUID | None:
    """SQLite needs no such lock: a transaction that writes is alone."""
    found = {"in_lane": lane, "at_priority": priority, "of_owner": owner}
    job_id: UUID | None = connection.execute(_OLDEST, found).scalar()
    return job_id


def position(connection: Connection, lane: str, job_id: UUID) -> int | None:
    """The place from 1 at which claims would come to the job if nothing else happened; None unless it is ready.

    A job's share is what its owner will have running when its turn comes, if none ends until then; of equal priority
    the smaller share is first, of equal share the older job. So counts by owner tell the place: no job is looked at.
    """
    asked = connection.execute(_ASKED, {"in_lane": lane, "job_id": job_id}).first()
    if asked is None:
        return None
    shares = Counter({row.owner: row.n_running for row in connection.execute(_RUNNING)})
    rivals, n_above = [], 0
    for row in connection.execute(_COUNTS, {"in_lane": lane, "at_least": asked.priority, "job_id": job_id}):
        if row.priority == asked.priority:
            rivals.append(row)
        else:
            shares[row.owner] += row.n_jobs
            n_above += row.n_jobs
    n_older = next((row.n_older for row in rivals if row.owner == asked.owner), None)
    if n_older is None:
        return None  # claimed since it was looked at: PostgreSQL takes a snapshot for each statement
    share = shares[asked.owner] + n_older
    return n_above + sum(_n_first(share - shares[row.owner], row.n_jobs, row.n_older) for row in rivals)


def _n_first(turn: int, n_jobs: int, n_older: int) -> int:
    """How many of an owner's jobs come first: those before its `turn`-th, and that one if it is the older one too."""
    if turn < 1:
        return 0
    return min(turn - 1, n_jobs) + (turn <= min(n_jobs, n_older))


def _in_lane(jobs: FromClause) -> ColumnElement[bool]:
    return and_(jobs.c.lane == bindparam("in_lane"), is_ready(jobs))


_top = (
    select(_jobs.c.priority)
    .where(_in_lane(_jobs), _jobs.c.priority < bindparam("below"))
    .order_by(_jobs.c.priority.desc())
    .limit(1)
    .cte("top")
)


_top_priority = select(_top.c.priority).scalar_subquery()


def _at_the_top(jobs: FromClause) -> ColumnElement[bool]:
    return and_(_in_lane(jobs), jobs.c.priority == _top_priority)


def _owners_at_the_top() -> CTE:
    """Each owner once, by hopping from one to the next along the index instead of reading every job."""
    first, later = _jobs.alias("first"), _jobs.alias("later")
    owners = select(func.min(first.c.owner).label("owner")).where(_at_the_top(first)).cte("owners", recursive=True)
    following = select(func.min(later.c.owner)).where(_at_the_top(later), later.c.owner > owners.c.owner)
    return owners.union_all(select(following.scalar_subquery()).where(owners.c.owner.is_not(None)))


_owners = _owners_at_the_top()
_oldest_of_owner = (
    select(_jobs.c.id)
    .where(_at_the_top(_jobs), _jobs.c.owner == _owners.c.owner)
    .order_by(_jobs.c.id)
    .limit(1)
    .scalar_subquery()
)
_running_of_owner = (
    select(func.count()).select_from(_jobs).where(is_running(), _jobs.c.owner == _owners.c.owner).scalar_subquery()
)
_TURNS = (
    select(_top_priority, _owners.c.owner, _oldest_of_owner.label("oldest"))
    .where(_owners.c.owner.is_not(None))
    .order_by(_running_of_owner, literal_column("oldest"))
)
"""Owners with a ready job at the highest priority below `below`, whose turn it is first, and their oldest."""

_OLDEST = (
    select(_jobs.c.id)
    .where(
        _in_lane(_jobs),
        _jobs.c.priority == bindparam("at_priority"),
        _jobs.c.owner == bindparam("of_owner"),
    )
    .order_by(_jobs.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)

_ASKED = select(_jobs.c.owner, _jobs.c.priority).where(_in_lane(_jobs), _jobs.c.id == bindparam("job_id"))
_RUNNING = select(_jobs.c.owner, func.count().label("n_running")).where(is_running()).group_by(_jobs.c.owner)
_COUNTS = (
    select(
        _jobs.c.priority,
        _jobs.c.owner,
        func.count().label("n_jobs"),
        func.count(case((_jobs.c.id <= bindparam("job_id"), 1))).label("n_older"),
    )
    .where(_in_lane(_jobs), _jobs.c.priority >= bindparam("at_least"))
    .group_by(_jobs.c.priority, _jobs.c.owner)
)
"""Ready jobs by priority and owner, `n_older` of them no younger than the one asked for; read off `ix_jobs_queue`."""
