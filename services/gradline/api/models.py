"""The models of finished jobs, parsed once and kept by the hash of their file."""

from functools import lru_cache
from uuid import UUID

from gradline.db.jobs import JobStore
from gradline.errors import Conflict
from gradline.scoring import Scorecard
from gradline.scoring_jobs import find_model
from gradline.storage import ArtifactStore

MAX_MODELS = 64


class Models:
    """What the API has parsed of them; the same file is never parsed twice while it is in use."""

    def __init__(self, jobs: JobStore, store: ArtifactStore) -> None:
        self._jobs = jobs
        self._parse = lru_cache(MAX_MODELS)(lambda sha256: Scorecard.parse(store.get(sha256)))

    def get(self, owner: str, job_id: UUID) -> tuple[Scorecard, str]:
        """A job's model and the hash of its file. Raises NotFound, or Conflict where the job has none (yet)."""
        artifact = find_model(self._jobs, self._jobs.get(job_id, owner))
        try:
            return self._parse(artifact.sha256), artifact.sha256
        except ValueError as error:
            message = f"the model of job {job_id} cannot be used: {error}; resubmit the job"
            raise Conflict(message, code="no_model") from error
