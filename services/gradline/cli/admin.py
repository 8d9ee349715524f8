"""The database's schema and the keys: commands that work on the database itself, not through the API."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from gradline.cli.terminal import say, write
from gradline.db import migrations
from gradline.db.api_keys import ApiKeyStore
from gradline.db.session import Database
from gradline.embedded.home_lock import refusing_unwritable
from gradline.errors import CallerError, NotFound
from gradline.settings import Settings


def upgrade_database(settings: Settings) -> None:
    with _database(settings) as database:
        before = migrations.current(database)
        migrations.upgrade(database)
        after = migrations.current(database)
    say(f"The schema is at {after}" + (" already." if before == after else f" (it was at {before or 'nothing'})."))


def create_key(settings: Settings, name: str, owner: str, days: int | None) -> None:
    expires_at = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    with _database(settings) as database:
        _require_schema(database)
        key_id, key = ApiKeyStore(database).create(owner, name, expires_at)
    say(f"Key {key_id} of {owner!r}. It is shown this once; put it into GRADLINE_API_KEY:")
    write(key)
    say("From now on the API asks every caller for a key.")


def revoke_key(settings: Settings, key_id: UUID) -> None:
    with _database(settings) as database:
        _require_schema(database)
        if not ApiKeyStore(database).revoke(key_id):
            raise NotFound(f"no key {key_id} that still opens anything")
    say(f"Key {key_id} opens nothing any more.")


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    if not settings.database_url:
        with refusing_unwritable(settings.home):
            settings.home.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database, pool_size=1)
    try:
        yield database
    finally:
        database.close()


def _require_schema(database: Database) -> None:
    if not migrations.is_current(database):
        raise CallerError("the database has not the schema of this version: run `gradline db upgrade`")
