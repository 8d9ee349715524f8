"""API keys: random 256-bit strings of which only the SHA-256 is kept."""

import hashlib
import secrets
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, or_, select, update

from gradline.clock import new_id
from gradline.db.models import ApiKeyRow
from gradline.db.session import Database
from gradline.db.types import db_now

PREFIX = "gl_"
"""So that a leaked key can be recognised for what it is."""


def hash_key(key: str) -> str:
    """SHA-256 as hex; a random key of 256 bits needs no slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()


class ApiKeyStore:
    """Owns `api_keys`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, owner: str, name: str, expires_at: datetime | None = None) -> tuple[UUID, str]:
        """A new key's id and the key itself, which is shown this once."""
        key_id, key = new_id(), PREFIX + secrets.token_urlsafe(32)
        values = {"id": key_id, "owner": owner, "name": name, "sha256": hash_key(key), "expires_at": expires_at}
        with self._database.write() as connection:
            connection.execute(insert(ApiKeyRow).values(values))
        return key_id, key

    def revoke(self, key_id: UUID) -> bool:
        """Whether there was such a key that still opened anything."""
        statement = update(ApiKeyRow).where(ApiKeyRow.id == key_id, ApiKeyRow.revoked_at.is_(None))
        with self._database.write() as connection:
            return connection.execute(statement.values(revoked_at=db_now())).rowcount == 1

    def has_any(self) -> bool:
        """Whether a key was ever made: from then on the API asks for one, also when all are revoked."""
        with self._database.read() as connection:
            return connection.execute(select(ApiKeyRow.id).limit(1)).first() is not None

    def owners_by_hash(self) -> dict[str, str]:
        """The owner behind each key that is neither revoked nor expired, by the key's hash."""
        alive = or_(ApiKeyRow.expires_at.is_(None), ApiKeyRow.expires_at > db_now())
        query = select(ApiKeyRow.sha256, ApiKeyRow.owner).where(ApiKeyRow.revoked_at.is_(None), alive)
        with self._database.read() as connection:
            return {row.sha256: row.owner for row in connection.execute(query)}
