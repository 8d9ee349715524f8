"""A job has a run once it has begun: however many wait, the relay looks through those that run."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("DELETE FROM runs WHERE job_id IN (SELECT id FROM jobs WHERE attempt = 0)")


def downgrade() -> None:
    op.execute(
        "INSERT INTO runs (job_id, is_closed) SELECT id, finished_at IS NOT NULL FROM jobs"
        " WHERE id NOT IN (SELECT job_id FROM runs)"
    )
