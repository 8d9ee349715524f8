"""What the answers of every noun have in common."""

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """An answer; it holds what is listed and nothing else."""

    model_config = ConfigDict(extra="forbid")
