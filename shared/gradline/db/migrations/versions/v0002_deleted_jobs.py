"""A deleted job stays, hidden, until its MLflow run has been ended."""

import sqlalchemy as sa
from alembic import op

from gradline.db.types import UtcDateTime

revision = "0002"
down_revision = "0001"

_IS_DELETED = sa.text("deleted_at is not null")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("deleted_at", UtcDateTime))
    op.create_index("ix_jobs_deleted", "jobs", ["id"], sqlite_where=_IS_DELETED, postgresql_where=_IS_DELETED)


def downgrade() -> None:
    """What was hidden is gone, rather than visible again."""
    op.execute("DELETE FROM jobs WHERE deleted_at IS NOT NULL")
    op.drop_index("ix_jobs_deleted", "jobs")
    op.drop_column("jobs", "deleted_at")
