"""What the conductor clears away, and above all what it leaves alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from gradline.conductor.sweep import Sweep
from gradline.db.datasets import DatasetStore, NewDataset
from gradline.db.jobs import JobStore
from gradline.db.records import Fence
from gradline.db.session import Database
from gradline.settings import Settings
from gradline.storage import ArtifactStore
from tests.factories import artifact, checkpoint, new_job

TWO_HOURS_S = 2 * 3600
TWO_DAYS_S = 2 * 86_400
DIES_WHILE_WRITING = """
import os, signal, sys
from gradline.storage import ArtifactStore

def blocks():
    yield b"half of it"
    os.kill(os.getpid(), signal.SIGKILL)

ArtifactStore(sys.argv[1]).put_stream(blocks())
"""


def test_only_old_files_that_no_row_names_are_deleted(
    database: Database, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, database_url=database_url, redis_url=redis_url)
    store = ArtifactStore(settings.store_url)
    named = [store.put(content).sha256 for content in (b"artifact", b"checkpoint", b"data set")]
    young, orphan = store.put(b"young orphan").sha256, store.put(b"old orphan").sha256
    _name(database, *named)
    used, unused = f"{named[-1]}.used", f"{named[-1]}.unused"  # since a day: what was derived of the data set
    for name in (used, unused):
        (tmp_path / "store" / name[:2] / name).touch()
    for sha256 in [*named, orphan, unused]:
        _age(store, sha256, TWO_DAYS_S)

    sweep = Sweep(settings)
    sweep.clear()
    sweep.close()

    left = {path.name for path in (tmp_path / "store").glob("??/*")}
    assert left == {*named, young, used}


def test_what_a_dead_process_left_half_written_is_deleted_and_what_is_being_written_is_not(
    database: Database, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, database_url=database_url, redis_url=redis_url)
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", DIES_WHILE_WRITING, settings.store_url], check=False)
        assert killed.returncode == -signal.SIGKILL
    dead, alive = (tmp_path / "store" / "incoming").iterdir()
    _set_age(dead, TWO_HOURS_S)

    sweep = Sweep(settings)
    sweep.clear()
    sweep.close()

    assert list((tmp_path / "store" / "incoming").iterdir()) == [alive]


def _name(database: Database, of_artifact: str, of_checkpoint: str, of_dataset: str) -> None:
    """One row of each table that names files."""
    jobs = JobStore(database)
    jobs.submit(new_job())
    job = jobs.claim("cpu", "w", 1)
    assert job is not None
    fence = Fence(job.id, job.attempt)
    jobs.record(fence, artifacts=[artifact(sha256=of_artifact)], checkpoint=checkpoint(1, sha256=of_checkpoint))
    DatasetStore(database).add(NewDataset("ada", "pets", "csv", of_dataset, 8, 1, []))


def _age(store: ArtifactStore, sha256: str, age_s: float) -> None:
    path = store.local_path(sha256)
    assert path is not None
    _set_age(Path(path), age_s)


def _set_age(path: Path, age_s: float) -> None:
    moment = time.time() - age_s
    os.utime(path, (moment, moment))
