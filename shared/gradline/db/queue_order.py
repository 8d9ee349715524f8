"""The order of a lane's queue: highest priority, then fair share between owners, then age.

A claim must not sort the whole queue. It walks the index `ix_jobs_queue` (lane, priority, owner, id) instead: the
highest priority that is ready, its owners by how much each has running, and of the first owner the oldest job.
The statements are built once, here: building one takes longer than running it.
"""

from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    tuple_,
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
        for priority, owner in turns:
            found = {"in_lane": lane, "at_priority": priority, "of_owner": owner}
            job_id: UUID | None = connection.execute(_OLDEST, found).scalar()
            if job_id is not None:
                return job_id
            below = priority
    return None


def position(connection: Connection, lane: str, job_id: UUID) -> int | None:
    """The place from 1 at which claims would come to the job if nothing else happened; None unless it is ready."""
    return connection.execute(_POSITION, {"in_lane": lane, "job_id": job_id}).scalar() or None


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
    select(_top_priority, _owners.c.owner)
    .where(_owners.c.owner.is_not(None))
    .order_by(_running_of_owner, _oldest_of_owner)
)
"""Owners with a ready job at the highest priority below `below`, whose turn it is first."""

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
"""SQLite knows no FOR UPDATE and needs none: the transaction holds the only write lock."""

_busy = (
    select(_jobs.c.owner, func.count().label("n_running")).where(is_running()).group_by(_jobs.c.owner).subquery("busy")
)
_before_of_owner = func.row_number().over(partition_by=_jobs.c.owner, order_by=(_jobs.c.priority.desc(), _jobs.c.id))
_ranked = (
    select(
        _jobs.c.id,
        (-_jobs.c.priority).label("rank"),
        # What its owner will have running when this job's turn comes, if none ends until then.
        (func.coalesce(_busy.c.n_running, 0) + _before_of_owner).label("share"),
    )
    .select_from(_jobs.outerjoin(_busy, _busy.c.owner == _jobs.c.owner))
    .where(_in_lane(_jobs))
    .cte("ranked")
)
_asked = _ranked.alias("asked")
_POSITION = (
    select(func.count())
    .select_from(_ranked)
    .where(
        tuple_(_ranked.c.rank, _ranked.c.share, _ranked.c.id)
        <= select(_asked.c.rank, _asked.c.share, _asked.c.id)
        .where(_asked.c.id == bindparam("job_id"))
        .scalar_subquery()
    )
)
