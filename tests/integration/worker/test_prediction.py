"""A `prediction` job: an uploaded data set through the model of a finished job, by a real worker."""

import csv
import io
import json
import tempfile
import tracemalloc
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from gradline import csv_tables, scoring_tables
from gradline.db.datasets import DatasetStore, NewDataset
from gradline.db.session import Database
from gradline.errors import PermanentError
from gradline.scoring import Scorecard
from gradline.specs import parse_spec
from gradline.specs.base import Spec
from gradline.status import JobStatus
from gradline.storage import BLOCK_BYTES, ArtifactStore
from gradline.tables import profile
from gradline.worker.kinds import prediction
from tests.integration.api.test_predict import CONTRIBUTIONS, MODEL, PREDICTORS, ROWS, STD_ERRORS, TOLD
from tests.integration.worker.conftest import Site
from tests.numerics.attempts import MemoryAttempt
from tests.unit.data.uploads import stored

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

    model = MODEL

    def get_model(self, job_id: str) -> bytes:
        return json.dumps(self.model).encode()

    def save_file(self, name: str, file: BinaryIO, media_type: str, kind: str = "table") -> None:
        """As a real attempt: into the store, block by block."""
        file.seek(0)
        self.hashes = {name: self.store.put_stream(iter(lambda: file.read(BLOCK_BYTES), b"")).sha256}

    def predicted(self) -> pa.Table:
        return pyarrow.parquet.read_table(io.BytesIO(self.store.get(self.hashes["predictions.parquet"])))


def asked(tmp_path: Any, data: bytes, file_format: str = "csv", **spec: Any) -> tuple[Spec, Attempt]:
    attempt, dataset_id = Attempt(), str(uuid4())
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    attempt.uploads[dataset_id] = stored(attempt.store, data, file_format)
    body = {"model_job_id": str(uuid4()), "data": {"dataset_id": dataset_id}} | spec
    return parse_spec("prediction", body), attempt


def run(*wanted: Any, **spec: Any) -> tuple[dict[str, Any], Attempt]:
    parsed, attempt = asked(*wanted, **spec)
    return prediction.run(parsed, attempt), attempt  # type: ignore[arg-type]


def test_a_parquet_file_is_predicted_block_by_block(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring_tables, "MAX_ROWS", 2)
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist([row | {"more": 1} for row in ROWS]), file)
    result, attempt = run(tmp_path, file.getvalue(), "parquet")
    said = attempt.predicted().to_pydict()
    card = Scorecard.parse(MODEL)
    expected = card.respond(card.linear_predictor(card.encode_rows(ROWS)))
    assert said["probability of yes"] == expected[:, 1].tolist()
    assert said["prediction"] == ["yes" if z >= 0 else "no" for z in PREDICTORS]
    assert (result["n_rows"], attempt.last_progress[:2]) == (3, (3, 3))


@pytest.mark.parametrize("kept", [[], ["id", "when", "age"]])
@pytest.mark.parametrize("max_rows", [1, 2, 3, 7, 100])
def test_blocks_of_any_size_say_the_same(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, max_rows: int, kept: list[str]
) -> None:
    rows = [ROWS[i % len(ROWS)] | {"id": i, "when": date(2020, 1, 1 + i % 28), "more": i / 3} for i in range(40)]
    file, text, cities = io.BytesIO(), io.BytesIO(), pa.array([row["city"] for row in rows]).dictionary_encode()
    table = pa.Table.from_pylist(rows)
    table = table.set_column(table.column_names.index("city"), "city", cities)
    pyarrow.parquet.write_table(table, file, row_group_size=11)
    pyarrow.csv.write_csv(table, text)
    monkeypatch.setattr(scoring_tables, "MAX_ROWS", max_rows)
    said = {}
    for file_format, data in (("parquet", file.getvalue()), ("csv", text.getvalue())):
        result, attempt = run(tmp_path, data, file_format, keep=kept)
        assert result["n_rows"] == sum(result["class_counts"].values()) == 40
        read = attempt.predicted()
        assert read.column_names[: len(kept)] == kept
        said[file_format] = read.column("probability of yes").to_pylist()
    card = Scorecard.parse(MODEL)
    expected = card.respond(card.linear_predictor(card.encode_rows(ROWS)))[:, 1]
    assert said["parquet"] == said["csv"] == [expected[i % len(ROWS)] for i in range(40)]


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_memory_for_predictions_does_not_grow_with_the_rows(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    monkeypatch.setattr(csv_tables, "_BLOCK_BYTES", 1 << 16)
    monkeypatch.setattr(scoring_tables, "BLOCK_BYTES", 1 << 17)
    most = []
    for n in (40_000, 240_000):
        columns = {
            "age": np.arange(n) % 90,
            "smoker": np.arange(n) % 2 == 0,
            "city": np.array(["Ulm", "Bonn"])[np.arange(n) % 2],
        }
        file, table = io.BytesIO(), pa.table(columns | {"more": np.arange(n) / 7})
        pyarrow.csv.write_csv(table, file) if file_format == "csv" else pyarrow.parquet.write_table(table, file)
        spec, attempt = asked(tmp_path, file.getvalue(), file_format)
        most.append(peak(partial(prediction.run, spec, attempt)))  # type: ignore[arg-type]
    assert most[1] < 1.5 * most[0], most


def test_intervals_and_contributions_are_columns_of_the_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring_tables, "MAX_ROWS", 2)
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS), file)
    spec, attempt = asked(tmp_path, file.getvalue(), "parquet", interval=0.8, contributions=True)
    attempt.model = TOLD
    prediction.run(spec, attempt)  # type: ignore[arg-type]
    said = attempt.predicted()
    assert said.column_names[3:6] == ["standard error", "interval low", "interval high"]
    assert said.column("standard error").to_pylist() == pytest.approx(STD_ERRORS)
    told = [said.column(f"contribution of {term}").to_pylist() for term in ("age", "smoker", "city", "age:city")]
    np.testing.assert_allclose(np.transpose(told)[:2], CONTRIBUTIONS)
    np.testing.assert_allclose(np.sum(told, 0) + said.column("base").to_pylist(), PREDICTORS, atol=1e-12)


def test_numbers_have_intervals_of_observations_and_classes_contributions_each(tmp_path: Any) -> None:
    rows = b"age,smoker,city\n30,true,Kiel\n"
    spec, attempt = asked(tmp_path, rows, interval=0.8)
    uncertainty = TOLD["uncertainty"] | {"df": 3.0, "variance": 4.0}
    attempt.model = TOLD | {"classes": None, "threshold": None, "family": "gaussian", "uncertainty": uncertainty}
    prediction.run(spec, attempt)  # type: ignore[arg-type]
    (said,) = attempt.predicted().to_pylist()
    low_to_high = ["observation low", "interval low", "prediction", "interval high", "observation high"]
    assert sorted(low_to_high, key=said.__getitem__) == low_to_high
    spec, attempt = asked(tmp_path, rows, contributions=True)
    features = [f | {"coefficients": [*f["coefficients"], 1.0, 0.0]} for f in TOLD["features"]]
    attempt.model = TOLD | {
        "family": "multinomial", "classes": ["a", "b", "c"], "threshold": None, "features": features,
        "intercepts": [-4.0, 1.0, 2.0],
    }  # fmt: skip
    prediction.run(spec, attempt)  # type: ignore[arg-type]
    (said,) = attempt.predicted().to_pylist()
    assert (said["contribution of age to a"], said["contribution of age to b"]) == pytest.approx((-0.8, -5.1))
    assert (said["base to b"], said["base to c"]) == pytest.approx((1 + sum(TOLD["means"]), 2.0))


def test_a_model_that_cannot_tell_intervals_fails_the_job_with_the_reason(tmp_path: Any) -> None:
    with pytest.raises(PermanentError, match="stored before") as failed:
        run(tmp_path, b"age,smoker,city\n1,true,Ulm\n", interval=0.9)
    assert failed.value.details["faults"][0]["field"] == "interval"


def test_a_full_disk_is_said_to_be_one(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "r+b", buffering=0))  # noqa: SIM115
    with pytest.raises(PermanentError, match="no room for the predictions") as failed:
        run(tmp_path, b"age,smoker,city\n1,true,Ulm\n")
    assert failed.value.code == "no_room"


def peak(work: Callable[[], Any]) -> int:
    """Bytes of arrow's and of Python's own memory (numpy's are among them) at their highest."""
    usual = pa.default_memory_pool()
    watched = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(watched)
    tracemalloc.start()
    try:
        work()
        return int(watched.max_memory()) + tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)


def test_a_row_that_does_not_fit_fails_the_job_by_its_number(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring_tables, "MAX_ROWS", 2)
    with pytest.raises(PermanentError) as failed:
        run(tmp_path, b"age,smoker,city\n1,true,Ulm\n2,true,Ulm\nold,true,Ulm\n")
    assert failed.value.details["faults"] == [{"field": "rows[2].age", "value": "old", "reason": "must be a number"}]
