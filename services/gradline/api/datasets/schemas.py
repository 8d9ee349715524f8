"""What is asked and answered about data sets."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from gradline.api.answers import View
from gradline.api.jobs.schemas import ShortText
from gradline.api.paging import LIMIT_MAX


class UploadQuery(BaseModel):
    """How the body is to be read."""

    model_config = ConfigDict(extra="forbid")

    name: ShortText | None = Field(None, description="For people; the beginning of the hash where none is given")
    format: Literal["csv", "parquet"] = Field("csv", description="How the body is to be read")


class DatasetFilter(BaseModel):
    """Which page to list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=LIMIT_MAX)
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before")


class ColumnView(BaseModel):
    """One column as it was read; numbers have a smallest and largest value, columns of few values their levels."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    name: str
    type: Literal["integer", "number", "boolean", "text", "empty"]
    n_missing: int
    n_distinct: int | None
    """null: too many to be counted, which is more than 10,000 (fewer where values are long or columns very many)"""
    min: int | float | None = None
    max: int | float | None = None
    levels: list[Any] | None = None
    note: str | None = None
    """Of text that looks like numbers, dates or an identifier: what to do"""


class DatasetView(View):
    """An uploaded table."""

    id: UUID
    name: str
    format: Literal["csv", "parquet"]
    sha256: str
    size_bytes: int
    n_rows: int
    columns: list[ColumnView]
    """In the file's order."""
    created_at: datetime


class DatasetPage(View):
    items: list[DatasetView]
    next_cursor: str | None
