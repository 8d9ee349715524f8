"""Column types and the database's clock, the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BindParameter, DateTime, Dialect, Float, TypeDecorator, literal, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC. SQLite stores it as text without an offset; it comes back aware."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class db_now(FunctionElement[datetime]):  # noqa: N801  (reads as a SQL function)
    """The database's clock, `offset_s` seconds on: leases and deadlines never compare two machines' clocks."""

    type = UtcDateTime()
    inherit_cache = True
    name = "db_now"

    def __init__(self, offset_s: float | BindParameter[Any] = 0.0) -> None:
        """The offset may also be a parameter, given when the statement runs."""
        offset = type_coerce(offset_s, Float()) if isinstance(offset_s, BindParameter) else literal(offset_s, Float())
        super().__init__(offset)


@compiles(db_now, "postgresql")
def _postgresql_now(element: db_now, compiler: Any, **kw: Any) -> str:
    # The moment the statement arrived: unlike clock_timestamp() it is the same for every row, so that an index serves.
    return f"(statement_timestamp() + make_interval(secs => {compiler.process(element.clauses, **kw)}))"


@compiles(db_now, "sqlite")
def _sqlite_now(element: db_now, compiler: Any, **kw: Any) -> str:
    # The layout in which SQLAlchemy stores a DateTime, so that text compares as time does.
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', ({compiler.process(element.clauses, **kw)}) || ' seconds')"
