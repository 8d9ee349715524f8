"""Rows that name files of the artifact store: artifacts and checkpoints, in a transaction that holds the job's row."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from gradline.db import statements
from gradline.db.records import Artifact, Fence, SavedCheckpoint


def put_artifacts(connection: Connection, job_id: UUID, attempt: int, artifacts: Sequence[Artifact]) -> None:
    if not artifacts:
        return
    rows = [vars(artifact) | {"job_id": job_id, "attempt": attempt} for artifact in artifacts]
    for row in rows:
        del row["created_at"]
    connection.execute(statements.PUT_ARTIFACTS[connection.dialect.name], rows)


def put_checkpoint(connection: Connection, fence: Fence, checkpoint: SavedCheckpoint) -> None:
    """The newest two are kept."""
    row = vars(checkpoint) | {"job_id": fence.job_id, "attempt": fence.attempt}
    connection.execute(statements.PUT_CHECKPOINT[connection.dialect.name], row)
    connection.execute(statements.DROP_OLD_CHECKPOINTS, {"of_job": fence.job_id})


def drop_checkpoints(connection: Connection, job_id: UUID) -> None:
    connection.execute(statements.DROP_CHECKPOINTS, {"of_job": job_id})
