"""A `prediction` job: an uploaded data set through the model of a finished job, by a real worker."""

import csv
import io
import json
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet
import pytest

from gradline.db.datasets import DatasetStore, NewDataset
from gradline.db.session import Database
from gradline.errors import PermanentError
from gradline.scoring import Scorecard
from gradline.specs import parse_spec
from gradline.status import JobStatus
from gradline.storage import ArtifactStore
from gradline.tables import profile
from gradline.worker.kinds import prediction
from tests.integration.api.test_predict import MODEL, PREDICTORS, ROWS
from tests.integration.worker.conftest import Site
from tests.numerics.attempts import MemoryAttempt

TRAINING = "id,x,city,ill\n" + "".join(
    f"{i},{(i * 7) % 11 if i % 6 else ''},{('Ulm', 'Kiel', 'Bonn')[i % 3]},{'yes' if (i * 7) % 11 > 4 else 'no'}\n"
    for i in range(60)
)
NEW = "city,id,x\nUlm,a,1\nRome,b,\n,c,10\n"


def upload(site: Site, text: str) -> str:
    stored = ArtifactStore(site.settings.store_url).put(text.encode())
    read = profile(text.encode(), "csv")
    new = NewDataset(
        owner="ada", name="rows", format="csv", sha256=stored.sha256, size_bytes=stored.size_bytes,
        n_rows=read.n_rows, columns=read.columns,
    )  # fmt: skip
    return str(DatasetStore(Database(site.settings.database)).add(new)[0].id)


def test_a_data_set_goes_through_a_trained_model(site: Site) -> None:
    site.start_worker()
    data = {"source": "dataset", "dataset_id": upload(site, TRAINING), "target": "ill", "features": ["x", "city"]}
    spec = {"data": data, "preprocess": {"missing": "indicator"}, "penalty": {"l2": 0.01}, "report": {"plots": []}}
    trained = site.wait_for_end(site.submit(spec))
    assert trained.status is JobStatus.SUCCEEDED, trained.error
    wanted = {"model_job_id": str(trained.id), "data": {"dataset_id": upload(site, NEW)}, "format": "csv"}
    job = site.wait_for_end(site.submit(wanted | {"keep": ["id"]}, kind="prediction"))
    assert job.status is JobStatus.SUCCEEDED, job.error
    store = ArtifactStore(site.settings.store_url)
    files = {a.name: store.get(a.sha256) for j in (trained, job) for a in site.jobs.artifacts(j.id)}
    rows = list(csv.DictReader(io.StringIO(files["predictions.csv"].decode())))
    card = Scorecard.parse(files["model.json"])
    z_nk = card.linear_predictor(
        card.encode_rows([{"x": 1, "city": "Ulm"}, {"x": None, "city": "Rome"}, {"x": 10, "city": None}])
    )
    assert [float(row["probability of yes"]) for row in rows] == pytest.approx(card.respond(z_nk)[:, 1].tolist())
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert job.result is not None
    assert job.result["class_counts"]["yes"] == sum(row["prediction"] == "yes" for row in rows)


class Attempt(MemoryAttempt):
    """With a model of another job at hand."""

    def get_model(self, job_id: str) -> bytes:
        return json.dumps(MODEL).encode()


def run(tmp_path: Any, data: bytes, file_format: str = "csv", **spec: Any) -> tuple[dict[str, Any], Attempt]:
    attempt, dataset_id = Attempt(), str(uuid4())
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    sha256 = attempt.store.put(data).sha256
    attempt.uploads[dataset_id] = SimpleNamespace(name="rows", format=file_format, sha256=sha256)
    body = {"model_job_id": str(uuid4()), "data": {"dataset_id": dataset_id}} | spec
    return prediction.run(parse_spec("prediction", body), attempt), attempt  # type: ignore[arg-type]


def test_a_parquet_file_is_predicted_batch_by_batch(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "BATCH_ROWS", 2)
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist([row | {"more": 1} for row in ROWS]), file)
    result, attempt = run(tmp_path, file.getvalue(), "parquet")
    said = pyarrow.parquet.read_table(io.BytesIO(attempt.files["predictions.parquet"])).to_pydict()
    card = Scorecard.parse(MODEL)
    expected = card.respond(card.linear_predictor(card.encode_rows(ROWS)))
    assert said["probability of yes"] == expected[:, 1].tolist()
    assert said["prediction"] == ["yes" if z >= 0 else "no" for z in PREDICTORS]
    assert (result["n_rows"], attempt.last_progress[:2]) == (3, (3, 3))


def test_a_row_that_does_not_fit_fails_the_job_by_its_number(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "BATCH_ROWS", 2)
    with pytest.raises(PermanentError) as failed:
        run(tmp_path, b"age,smoker,city\n1,true,Ulm\n2,true,Ulm\nold,true,Ulm\n")
    assert failed.value.details["faults"] == [{"field": "rows[2].age", "value": "old", "reason": "must be a number"}]
