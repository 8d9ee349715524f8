"""Settings: read once where a process is put together and passed down. Nothing else reads the environment.

A setting never changes what a job computes; whatever does is a field of its spec.
"""

import socket
from pathlib import Path
from typing import Self

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Each is an environment variable `GRADLINE_<NAME>`; docs/settings.md lists them."""

    model_config = SettingsConfigDict(env_prefix="GRADLINE_", frozen=True, extra="ignore", populate_by_name=True)

    home: Path = Path(".gradline")
    """Folder of everything that the one-machine stack keeps."""
    database_url: str = ""
    """`sqlite:///path` or `postgresql+psycopg://…`; empty: a SQLite file in `home`."""
    redis_url: str = "redis://127.0.0.1:6379/0"
    """Celery's broker and the live progress; `redis+socket://` or `unix://` for a private socket."""
    store: str = ""
    """fsspec URL of the artifact store; empty: a folder in `home`."""
    mlflow_tracking_uri: str = Field(
        "http://127.0.0.1:5000", validation_alias=AliasChoices("GRADLINE_MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_URI")
    )
    """Where the relay sends runs."""
    mlflow_public_url: str = ""
    """Address of the MLflow UI as a browser reaches it, for links; empty: the tracking address."""

    host: str = "127.0.0.1"
    """Address the API binds. Beyond loopback it refuses to start without an API key."""
    port: int = Field(8000, ge=0, le=65535)
    """Port of the API."""
    url: str = "http://127.0.0.1:8000"
    """Where the client commands find the API."""
    api_key: SecretStr | None = None
    """Key that the client commands send; for the API process: a key that is accepted besides those in the database."""
    upload_max_bytes: int = Field(1_000_000_000, gt=0)
    """Largest data set that may be uploaded, larger than memory if need be; a Parquet file may unpack to 8 times it."""
    body_max_bytes: int = Field(1_000_000, gt=0)
    """Largest JSON body."""
    predict_max_bytes: int = Field(16_000_000, gt=0)
    """Largest body of rows to predict."""
    predict_max_rows: int = Field(20_000, gt=0)
    """Rows that one request may predict; more of them are a job of kind `prediction`."""

    n_children: int = Field(1, ge=1)
    """Child processes of a worker; each runs one job at a time."""
    child_jobs_max: int = Field(10_000, ge=1)
    """A child is replaced after this many rings."""
    n_threads: int = Field(1, ge=1)
    """Threads of a child's passes over large data, and torch's; part of a fit's fingerprint, since torch's sums
    depend on it."""
    features_max_bytes: int = Field(4_294_967_296, gt=0)
    """Features of a job, dense or sparse, that take more are kept in a file beside the store instead of in memory."""
    unpacked_max_bytes: int = Field(4_294_967_296, ge=0)
    """An upload whose columns take at most this is kept unpacked beside it until a day after its last use."""
    lease_s: float = Field(30.0, gt=0)
    """A job whose worker has not been heard for this long is rescued."""
    heartbeat_s: float = Field(10.0, gt=0)
    """Time between renewals of a lease."""
    watch_s: float = Field(1.0, gt=0)
    """Time between looks at whether a running job was cancelled."""
    grace_s: float = Field(10.0, gt=0)
    """How long a child that must stop may take before it is killed."""
    conductor_tick_s: float = Field(1.0, gt=0)
    """Time between two rounds of the conductor."""
    retention_days: float | None = Field(None, gt=0)
    """Ended jobs are forgotten after this long, once MLflow has them; None: kept."""
    relay_tick_s: float = Field(0.5, gt=0)
    """Time between two looks of the relay for something new."""
    log_json: bool = False
    """Log lines as JSON instead of for people."""
    log_level: str = "INFO"
    """Least level that is logged: DEBUG, INFO, WARNING or ERROR."""
    hostname: str = Field(default_factory=socket.gethostname)
    """Name under which a worker reports itself."""

    @model_validator(mode="after")
    def lease_outlives_heartbeats(self) -> Self:
        if self.lease_s < 2 * self.heartbeat_s:
            raise ValueError(
                f"GRADLINE_LEASE_S is {self.lease_s} and GRADLINE_HEARTBEAT_S is {self.heartbeat_s}: "
                "the lease must last at least two heartbeats"
            )
        return self

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.home.absolute() / 'gradline.db'}"

    @property
    def store_url(self) -> str:
        return self.store or f"file://{self.home.absolute() / 'store'}"

    @property
    def mlflow_ui_url(self) -> str:
        return (self.mlflow_public_url or self.mlflow_tracking_uri).rstrip("/")
