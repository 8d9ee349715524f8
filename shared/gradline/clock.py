"""Ids and wall-clock time for this process. What decides anything about a job uses the database's clock instead."""

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_id() -> UUID:
    """A UUIDv7: sorts by creation time within one process."""
    return uuid7()
