"""What every spec shares."""

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """Frozen, strict, closed: unknown fields and silent conversions (`true` for 1.0) are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
