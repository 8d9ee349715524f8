"""Which jobs have a model, and where it is: one rule for the API that predicts and for jobs of kind `prediction`."""

from gradline.db.jobs import JobStore
from gradline.db.records import Artifact, Job
from gradline.errors import Conflict
from gradline.status import JobStatus

MODEL_FILE = "model.json"
MODEL_KIND = "logistic-regression"


def find_model(jobs: JobStore, job: Job) -> Artifact:
    """The scorecard of a job; raises Conflict `no_model` or `not_succeeded`, saying why there is none."""
    if job.kind != MODEL_KIND:
        raise Conflict(f"job {job.id} is of kind {job.kind}; only {MODEL_KIND} leaves a model", code="no_model")
    if job.status is not JobStatus.SUCCEEDED:
        said = "has not ended yet" if not job.status.is_terminal else "left no model"
        raise Conflict(f"job {job.id} is {job.status.value} and {said}", code="not_succeeded")
    artifact = jobs.find_artifact(job.id, MODEL_FILE)
    if artifact is None:
        outcome = (job.result or {}).get("outcome")
        raise Conflict(f"job {job.id} ended {outcome} and left no model that could predict", code="no_model")
    return artifact
