"""The first schema, and the triggers that keep what a job has become."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Column, Float, Integer, String, Text, Uuid, text

from gradline.db.types import Json, UtcDateTime, db_now

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Names of keys and constraints follow the naming convention of `models.py`."""
    _create_jobs()
    _create_events()
    _create_artifacts()
    _create_checkpoints()
    _create_drawings()
    _create_runs()
    _create_datasets()
    _create_workers()
    _create_api_keys()
    _create_triggers()


def downgrade() -> None:
    """Dropping a table drops its indices and triggers, but not the function behind PostgreSQL's."""
    for name in ("api_keys", "workers", "datasets", "runs", "drawings", "checkpoints", "artifacts", "events", "jobs"):
        op.drop_table(name)
    if not _is_sqlite():
        op.execute("DROP FUNCTION gradline_guard_job()")


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        Column("id", Uuid, primary_key=True),
        Column("owner", String(100), nullable=False),
        Column("kind", String(60), nullable=False),
        Column("name", String(200)),
        Column("experiment", String(200)),
        Column("labels", Json, nullable=False),
        Column("spec", Json, nullable=False),
        Column("lane", String(20), nullable=False),
        Column("priority", Integer, nullable=False),
        Column("max_attempts", Integer, nullable=False),
        Column("deadline_s", Float),
        Column("idempotency_key", String(255)),
        Column("request_hash", String(64), nullable=False),
        Column("status", String(10), nullable=False),
        Column("attempt", Integer, server_default=text("0"), nullable=False),
        Column("n_errors", Integer, server_default=text("0"), nullable=False),
        Column("n_crashes", Integer, server_default=text("0"), nullable=False),
        Column("not_before", UtcDateTime),
        Column("cancel_requested_at", UtcDateTime),
        Column("worker_id", String(100)),
        Column("worker_pid", Integer),
        Column("lease_expires_at", UtcDateTime),
        _created_at(),
        Column("started_at", UtcDateTime),
        Column("finished_at", UtcDateTime),
        Column("last_seq", Integer, server_default=text("0"), nullable=False),
        Column("progress", Json),
        Column("result", Json),
        Column("error", Json),
        sa.UniqueConstraint("owner", "idempotency_key"),
        sa.CheckConstraint("status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')", "status_known"),
        sa.CheckConstraint(
            "(status = 'running') = (lease_expires_at is not null) and (status = 'running') = (worker_id is not null)",
            "lease_while_running",
        ),
        sa.CheckConstraint(
            "(status in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null)", "finished_when_ended"
        ),
    )
    _create_partial_index(
        "ix_jobs_queue", "jobs", ["lane", "priority", "owner", "id", "not_before"], "status = 'queued'"
    )
    _create_partial_index("ix_jobs_running", "jobs", ["owner", "lease_expires_at"], "status = 'running'")
    op.create_index("ix_jobs_owner_id", "jobs", ["owner", "id"])
    op.create_index("ix_jobs_finished_at", "jobs", ["lane", "finished_at"])


def _create_events() -> None:
    op.create_table(
        "events",
        _job_id(),
        Column("seq", Integer, primary_key=True, autoincrement=False),
        Column("kind", String(20), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("once_key", String(200)),
        Column("data", Json, nullable=False),
        _created_at(),
        sa.UniqueConstraint("job_id", "once_key"),
    )


def _create_artifacts() -> None:
    op.create_table(
        "artifacts",
        _job_id(),
        Column("name", String(200), primary_key=True),
        Column("kind", String(20), nullable=False),
        Column("step", Integer),
        Column("media_type", String(100), nullable=False),
        Column("sha256", String(64), nullable=False),
        Column("size_bytes", BigInteger, nullable=False),
        Column("attempt", Integer, nullable=False),
        _created_at(),
    )
    op.create_index("ix_artifacts_sha256", "artifacts", ["sha256"])


def _create_checkpoints() -> None:
    op.create_table(
        "checkpoints",
        _job_id(),
        Column("step", Integer, primary_key=True, autoincrement=False),
        Column("attempt", Integer, nullable=False),
        Column("sha256", String(64), nullable=False),
        Column("size_bytes", BigInteger, nullable=False),
        Column("fingerprint", Json, nullable=False),
        _created_at(),
    )
    op.create_index("ix_checkpoints_sha256", "checkpoints", ["sha256"])


def _create_drawings() -> None:
    op.create_table(
        "drawings",
        _job_id(),
        Column("names", Json, nullable=False),
        Column("attempt", Integer, server_default=text("0"), nullable=False),
        Column("lease_expires_at", UtcDateTime),
        Column("finished_at", UtcDateTime),
        Column("error", Text),
    )
    _create_partial_index("ix_drawings_pending", "drawings", ["job_id"], "finished_at is null")


def _create_runs() -> None:
    op.create_table(
        "runs",
        _job_id(),
        Column("experiment_id", String(64)),
        Column("run_id", String(64)),
        Column("synced_seq", Integer, server_default=text("0"), nullable=False),
        Column("is_closed", sa.Boolean, server_default=text("false"), nullable=False),
        Column("relay_id", String(100)),
        Column("lease_expires_at", UtcDateTime),
        Column("n_failures", Integer, server_default=text("0"), nullable=False),
        Column("next_try_at", UtcDateTime),
        Column("error", Text),
    )
    _create_partial_index("ix_runs_open", "runs", ["next_try_at"], "not is_closed")


def _create_datasets() -> None:
    op.create_table(
        "datasets",
        Column("id", Uuid, primary_key=True),
        Column("owner", String(100), nullable=False),
        Column("name", String(200), nullable=False),
        Column("format", String(10), nullable=False),
        Column("sha256", String(64), nullable=False),
        Column("size_bytes", BigInteger, nullable=False),
        Column("n_rows", BigInteger, nullable=False),
        Column("columns", Json, nullable=False),
        _created_at(),
        sa.UniqueConstraint("owner", "sha256", "format"),
    )
    op.create_index("ix_datasets_sha256", "datasets", ["sha256"])
    op.create_index("ix_datasets_owner_id", "datasets", ["owner", "id"])


def _create_workers() -> None:
    op.create_table(
        "workers",
        Column("id", String(100), primary_key=True),
        Column("hostname", String(200), nullable=False),
        Column("pid", Integer, nullable=False),
        Column("lane", String(20), nullable=False),
        Column("device", String(200), nullable=False),
        Column("n_slots", Integer, nullable=False),
        Column("started_at", UtcDateTime, server_default=db_now(), nullable=False),
        Column("last_seen_at", UtcDateTime, server_default=db_now(), nullable=False),
    )


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        Column("id", Uuid, primary_key=True),
        Column("owner", String(100), nullable=False),
        Column("name", String(200), nullable=False),
        Column("sha256", String(64), nullable=False, unique=True),
        _created_at(),
        Column("expires_at", UtcDateTime),
        Column("revoked_at", UtcDateTime),
    )


_KEPT = ("status", "result", "error", "attempt", "finished_at", "spec")
"""What an ended job keeps. Its `last_seq` may rise: plots are drawn, and told, after the end."""


def _create_triggers() -> None:
    """An ended job stays as it ended, and an attempt number never falls, whoever writes and with whatever statement."""
    if _is_sqlite():
        _create_sqlite_trigger(
            "ended", _HAS_ENDED.format(changed=_changed("IS NOT")), "a job that has ended never changes"
        )
        _create_sqlite_trigger("attempt", "new.attempt < old.attempt", "the attempt of a job never falls")
    else:
        op.execute(_POSTGRESQL_GUARD.format(ended=_HAS_ENDED.format(changed=_changed("IS DISTINCT FROM"))))
        op.execute(
            f"CREATE TRIGGER jobs_guard BEFORE UPDATE OF {', '.join(_KEPT)} ON jobs "
            "FOR EACH ROW EXECUTE FUNCTION gradline_guard_job()"
        )


_HAS_ENDED = "old.status IN ('succeeded', 'failed', 'cancelled') AND ({changed})"

_POSTGRESQL_GUARD = """
CREATE FUNCTION gradline_guard_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF {ended} THEN
    RAISE EXCEPTION 'a job that has ended never changes' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF new.attempt < old.attempt THEN
    RAISE EXCEPTION 'the attempt of a job never falls' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN new;
END $$
"""


def _changed(differs: str) -> str:
    return " OR ".join(f"new.{column} {differs} old.{column}" for column in _KEPT)


def _create_sqlite_trigger(name: str, condition: str, message: str) -> None:
    op.execute(
        f"CREATE TRIGGER jobs_guard_{name} BEFORE UPDATE OF {', '.join(_KEPT)} ON jobs WHEN {condition} "
        f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _job_id() -> Column[object]:
    return Column("job_id", Uuid, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)


def _created_at() -> Column[object]:
    return Column("created_at", UtcDateTime, server_default=db_now(), nullable=False)


def _create_partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=text(where), postgresql_where=text(where))
