"""Faults that a database can have, put into a real one."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from gradline.db.session import Database

_WROTE = "wrote in this transaction"


class Replies:
    """Which answers to a COMMIT are lost: after it took effect, or before it reached the database."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = random.Random(seed)
        self.n_lost_after = 0
        self.n_lost_before = 0
        self.after = 0.0
        """Probability that a commit happens and its answer is lost."""
        self.before = 0.0
        """Probability that a commit does not happen."""
        self.on_loss: Callable[[], object] = lambda: None
        """What the world does right after a commit that did not happen."""

    def commit(self, connection: Connection) -> None:
        """Reads are left alone: on PostgreSQL they share the engine, and they are how one finds out."""
        if not connection.info.pop(_WROTE, False):
            return
        roll = self._rng.random()
        if roll < self.after:
            self.n_lost_after += 1
            connection.connection.dbapi_connection.commit()  # type: ignore[union-attr]
            raise _lost()
        if roll < self.after + self.before:
            self.n_lost_before += 1
            connection.connection.dbapi_connection.rollback()  # type: ignore[union-attr]
            self.on_loss()
            raise _lost()


@contextmanager
def lost_replies(database: Database, *, after: float = 0.0, before: float = 0.0, seed: int = 0) -> Iterator[Replies]:
    """Loses answers of the writing engine, as a connection that breaks around COMMIT does."""
    replies = Replies(seed)
    replies.after, replies.before = after, before

    def on_commit(connection: Connection) -> None:
        replies.commit(connection)

    def on_execute(connection: Connection, _1: Any, _2: Any, _3: Any, context: Any, _4: bool) -> None:
        if context is not None and (context.isinsert or context.isupdate or context.isdelete):
            connection.info[_WROTE] = True

    event.listen(database.engine, "commit", on_commit)
    event.listen(database.engine, "after_cursor_execute", on_execute)
    try:
        yield replies
    finally:
        event.remove(database.engine, "commit", on_commit)
        event.remove(database.engine, "after_cursor_execute", on_execute)


def _lost() -> OperationalError:
    cause: Any = ConnectionResetError("the server closed the connection (planted)")
    return OperationalError("COMMIT", {}, cause)
