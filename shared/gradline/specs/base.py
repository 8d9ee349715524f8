"""What every spec shares."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class Spec(BaseModel):
    """Frozen, strict, closed: unknown fields and silent conversions (`true` for 1.0) are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Misfit(ValueError):
    """A field that is well by itself, and does not go with the others of its spec."""

    def __init__(self, field: str, value: Any, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        """From the model that refuses it on, dotted."""
        self.value = value


@dataclass(frozen=True)
class Spelled:
    """Of text: the pattern that it fits, in the API's description, and the same in words, for whoever missed it."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"pattern": self.pattern}

    def _checked(self, text: str) -> str:
        if re.fullmatch(self.pattern, text) is None:
            raise ValueError(self.words)
        return text


Id = Annotated[
    str,
    Spelled(
        r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        "must be an id as the API gives it, in lower case: 01234567-89ab-cdef-0123-456789abcdef",
    ),
]
"""The id of a job or of a data set."""
