"""What the conductor clears away, and above all what it leaves alone."""

import os
import time
from pathlib import Path

from gradline.conductor.sweep import Sweep
from gradline.db.datasets import DatasetStore, NewDataset
from gradline.db.jobs import Fence, JobStore
from gradline.db.session import Database
from gradline.settings import Settings
from gradline.storage import ArtifactStore
from tests.factories import artifact, checkpoint, new_job

TWO_DAYS_S = 2 * 86_400


def test_only_old_files_that_no_row_names_are_deleted(
    database: Database, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, database_url=database_url, redis_url=redis_url)
    store = ArtifactStore(settings.store_url)
    named = [store.put(content).sha256 for content in (b"artifact", b"checkpoint", b"data set")]
    young, orphan = store.put(b"young orphan").sha256, store.put(b"old orphan").sha256
    _name(database, *named)
    for sha256 in [*named, orphan]:
        _age(store, sha256)

    sweep = Sweep(settings)
    sweep.clear()
    sweep.close()

    left = {path.name for path in (tmp_path / "store").glob("??/*")}
    assert left == {*named, young}


def _name(database: Database, of_artifact: str, of_checkpoint: str, of_dataset: str) -> None:
    """One row of each table that names files."""
    jobs = JobStore(database)
    jobs.submit(new_job())
    job = jobs.claim("cpu", "w", 1)
    assert job is not None
    fence = Fence(job.id, job.attempt)
    jobs.record(fence, artifacts=[artifact(sha256=of_artifact)], checkpoint=checkpoint(1, sha256=of_checkpoint))
    DatasetStore(database).add(NewDataset("ada", "pets", "csv", of_dataset, 8, 1, []))


def _age(store: ArtifactStore, sha256: str) -> None:
    path = store.local_path(sha256)
    assert path is not None
    moment = time.time() - TWO_DAYS_S
    os.utime(path, (moment, moment))
