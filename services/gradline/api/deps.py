"""What a request is given: the process's services, and the owner it speaks for."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from gradline.api.auth import Gate
from gradline.api.bell import Bell
from gradline.api.models import Models
from gradline.api.probes import Probes
from gradline.api.watch import Watcher
from gradline.db.api_keys import ApiKeyStore
from gradline.db.datasets import DatasetStore
from gradline.db.drawings import DrawingStore
from gradline.db.jobs import JobStore
from gradline.db.runs import RunStore
from gradline.db.session import Database
from gradline.db.workers import WorkerStore
from gradline.settings import Settings
from gradline.storage import ArtifactStore

POOL_SIZE = 20
"""Connections to the database; past it a request waits, then is told to come back (503)."""


@dataclass(frozen=True)
class Services:
    """Everything a request may need, put together once."""

    settings: Settings
    database: Database
    jobs: JobStore
    drawings: DrawingStore
    datasets: DatasetStore
    workers: WorkerStore
    runs: RunStore
    store: ArtifactStore
    models: Models
    gate: Gate
    bell: Bell
    watcher: Watcher
    probes: Probes

    @classmethod
    def of(cls, settings: Settings) -> "Services":
        database = Database(settings.database, pool_size=POOL_SIZE)
        jobs = JobStore(database, settings.lease_s)
        store = ArtifactStore(settings.store_url, derived_max_bytes=settings.unpacked_max_bytes)
        return cls(
            settings=settings,
            database=database,
            jobs=jobs,
            drawings=DrawingStore(database, settings.lease_s),
            datasets=DatasetStore(database),
            workers=WorkerStore(database),
            runs=RunStore(database),
            store=store,
            models=Models(jobs, store),
            gate=Gate(settings, ApiKeyStore(database)),
            bell=Bell(settings.redis_url),
            watcher=Watcher(jobs, settings.redis_url),
            probes=Probes(settings, database),
        )


async def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def get_owner(request: Request) -> str:
    owner: str = await request.app.state.services.gate.owner_of(request)
    return owner


ServicesDep = Annotated[Services, Depends(get_services)]
OwnerDep = Annotated[str, Depends(get_owner)]
