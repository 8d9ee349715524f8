"""What of a job arrives in MLflow."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import mlflow.pyfunc
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server import init
from starlette.testclient import TestClient

from gradline.api.predictions import service
from gradline.db.datasets import DatasetStore, NewDataset
from gradline.scoring import Scorecard
from gradline.specs.prediction import PredictionOptions
from gradline.status import JobStatus
from gradline.worker.drawing import draw_pending
from tests.integration.relay.bench import MODEL, PLOTS, STEPS, Bench
from tests.waiting import wait_until


def test_metrics_are_those_of_the_rows_one_by_one(bench: Bench) -> None:
    job = bench.finished_job()
    bench.carry_all(bench.relay(), job)
    run = bench.mlflow_run(job)
    for key in ("loss", "accuracy", "validation_loss"):
        assert bench.history(run, f"fit/{key}") == bench.reported(job, key)
    assert len(bench.history(run, "fit/validation_loss")) == len(STEPS) - 1
    finished_ms = round(bench.find(job.id).finished_at.timestamp() * 1000)
    assert bench.history(run, "train.log_loss") == [(0, 0.049277, finished_ms)]
    final = {"train.log_loss", "train.accuracy", "train.objective", "train.steps", "train.best_step"}
    assert run.data.metrics.keys() == {"fit/loss", "fit/accuracy", "fit/validation_loss"} | final


def test_a_run_names_its_job_its_owner_its_data_and_its_whole_spec(bench: Bench) -> None:
    job, fence = bench.start(name="first try", labels={"course": "ml 101", "odd key!": "x"})
    bench.finish(fence)
    bench.carry_all(bench.relay(), job)
    run = bench.mlflow_run(job)
    assert run.info.run_name == "first try"
    assert run.data.params["solver.learning_rate"] == "0.01"
    assert run.data.params["data.source"] == "blobs"
    assert json.loads(Path(bench.client.download_artifacts(run.info.run_id, "spec.json")).read_text()) == job.spec
    expected = {
        "gradline.owner": "ada",
        "mlflow.user": "ada",
        "gradline.kind": "logistic-regression",
        "gradline.attempt": "1",
        "gradline.outcome": "target_reached",
        "gradline.environment.n_threads": "1",
        "label.course": "ml 101",
        "label.odd key_": "x",
        "mlflow.note.content": "**target reached** after 40 steps",
    }
    assert expected.items() <= run.data.tags.items()
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == "blobs"
    assert run.data.tags["gradline.dataset.sha256"].startswith(data.dataset.digest)


def test_an_uploaded_data_set_is_described_by_its_hash_and_columns(bench: Bench) -> None:
    columns = [{"name": "age", "type": "integer", "n_missing": 2}, {"name": "city", "type": "text", "n_missing": 0}]
    new = NewDataset("ada", "people", "csv", "ab" * 32, 1000, 50, columns)
    dataset, _ = DatasetStore(bench.database).add(new)
    job, fence = bench.start(spec={"data": {"source": "dataset", "dataset_id": str(dataset.id), "target": "city"}})
    bench.finish(fence)
    bench.carry_all(bench.relay(), job)
    run = bench.mlflow_run(job)
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("people", ("ab" * 32)[:12])
    assert run.data.tags["gradline.dataset.sha256"] == "ab" * 32
    fields = json.loads(data.dataset.schema)["mlflow_colspec"]
    assert [(f["name"], f["type"], f["required"]) for f in fields] == [("age", "long", False), ("city", "string", True)]
    assert json.loads(data.dataset.profile)["num_rows"] == 50


def test_images_carry_their_steps_and_files_lie_in_their_folders(bench: Bench) -> None:
    job = bench.finished_job()
    bench.carry_all(bench.relay(), job)
    run = bench.mlflow_run(job)
    names = [path.removeprefix("images/") for path in bench.paths(run, "images")]
    assert len(names) == 2 * len(STEPS)
    assert sorted({int(name.split("+step+")[1].split("+")[0]) for name in names}) == list(STEPS)
    assert {name.split("+")[0] for name in names} == {"fit~boundary"}
    assert sum(name.endswith("+compressed.webp") for name in names) == len(STEPS)
    assert run.data.tags["mlflow.loggedImages"] == "True"
    plots = ["plots/accuracy.png", "plots/animation.gif", "plots/confusion_matrix.png", "plots/loss.png"]
    assert bench.paths(run, "plots") == plots
    assert "data/metrics.parquet" in bench.paths(run, "data")


def test_the_model_loads_without_pickle_and_predicts_raw_rows_as_the_api_does(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = bench.finished_job()
    bench.carry_all(bench.relay(), job)
    (model,) = bench.models(bench.mlflow_run(job))
    assert model.status == "READY"
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    mlflow.set_tracking_uri(bench.mlflow_url)
    loaded = mlflow.pyfunc.load_model(f"models:/{model.model_id}")
    rows = [
        *MODEL["examples"]["rows"],
        {"age": 71.0, "height": 1.6, "smoker": False, "city": "a city that training has not seen"},
        {"age": 20.0, "height": 1.9, "smoker": None, "city": "Bonn"},
    ]
    card = Scorecard.parse(MODEL)
    answer = service._predictions(card, card.encode_rows(rows), PredictionOptions())
    said = loaded.predict(pd.DataFrame(rows))
    assert said["prediction"].tolist() == answer["classes"]
    assert said[["probability of no", "probability of yes"]].to_numpy().tolist() == answer["probabilities"]
    assert loaded.predict(pd.DataFrame(rows[2:3]))["prediction"].tolist() == answer["classes"][2:3]
    with pytest.raises(Exception, match="height"):
        loaded.predict(pd.DataFrame(rows).drop(columns="height"))
    fields = {f["name"]: (f["type"], f["required"]) for f in loaded.metadata.signature.inputs.to_dict()}
    assert fields["age"] == ("any", False)
    assert fields["height"] == ("any", True)
    assert fields["smoker"] == ("any", False)
    assert fields["city"] == ("any", False)
    assert loaded.input_example["city"].tolist()[0] == "Ulm"
    (output,) = bench.mlflow_run(job).outputs.model_outputs
    assert (output.model_id, output.step) == (model.model_id, STEPS[-1])
    assert {metric.key: metric.value for metric in model.metrics}["train.log_loss"] == 0.049277


def carried_model(bench: Bench) -> Any:
    job = bench.finished_job()
    bench.carry_all(bench.relay(), job)
    (model,) = bench.models(bench.mlflow_run(job))
    mlflow.set_tracking_uri(bench.mlflow_url)
    return mlflow.pyfunc.load_model(f"models:/{model.model_id}")


def test_whole_numbers_are_taken_however_pandas_keeps_them(bench: Bench) -> None:
    loaded = carried_model(bench)
    whole = pd.DataFrame({"age": [30, 50], "height": [2, 1], "smoker": [True, False], "city": ["Ulm", "Bonn"]})
    expected = loaded.predict(whole.astype({"age": float, "height": float}))
    for kind in ("int64", "int32", "uint8", "Int64", object):
        assert loaded.predict(whole.astype({"age": kind, "height": kind})).equals(expected)
    gap = pd.DataFrame({"age": pd.array([30, None], "Int64"), "height": [2, 1], "smoker": [True, None], "city": "Ulm"})
    as_float = gap.assign(age=[30.0, float("nan")])
    assert loaded.predict(gap).equals(loaded.predict(as_float))


def test_missing_values_and_texts_are_taken_however_a_frame_or_a_request_keeps_them(bench: Bench) -> None:
    loaded = carried_model(bench)
    rows: list[dict[str, Any]] = [
        {"age": 30.0, "height": 1.7, "smoker": True, "city": "Ulm"},
        {"age": None, "height": 1.8, "smoker": None, "city": None},
        {"age": 41.5, "height": 1.6, "smoker": False, "city": "a city that training has not seen"},
    ]
    card, frame = Scorecard.parse(MODEL), pd.DataFrame(rows)
    expected = card.respond(card.linear_predictor(card.encode_rows(rows)))[:, 1].tolist()
    frames = {
        "objects": pd.DataFrame(rows, dtype=object),
        "NaN": frame.astype(object).where(frame.notna(), float("nan")),
        "nullable": frame.convert_dtypes(),
        "Arrow": frame.convert_dtypes(dtype_backend="pyarrow"),
        "categories": frame.astype({"city": "category"}),
    }
    assert {name: loaded.predict(f)["probability of yes"].tolist() for name, f in frames.items()} == dict.fromkeys(
        frames, expected
    )
    nowhere = loaded.predict(frame.assign(city=float("nan")))
    assert nowhere.equals(loaded.predict(frame.assign(city="Ulm")))  # which stands in for a missing one
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    split = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
    client = TestClient(init(loaded))
    for body in ({"inputs": columns}, {"dataframe_records": rows}, {"dataframe_split": split}):
        told = client.post("/invocations", json=body).json()["predictions"]
        assert [row["probability of yes"] for row in told] == pytest.approx(expected, rel=1e-12), list(body)


def test_a_model_is_the_next_version_under_the_name_of_its_spec_and_served_by_it(bench: Bench) -> None:
    name = f"churn {uuid4().hex}"
    jobs = [bench.finished_job(spec={"report": {"register_as": name}}) for _ in range(2)]
    for job in jobs:
        bench.carry_all(bench.relay(), job)
    versions = {int(v.version): v for v in bench.client.search_model_versions(f"name = '{name}'")}
    assert {number: v.run_id for number, v in versions.items()} == {
        number: bench.mlflow_run(job).info.run_id for number, job in enumerate(jobs, 1)
    }
    mlflow.set_tracking_uri(bench.mlflow_url)
    rows = MODEL["examples"]["rows"]
    said = mlflow.pyfunc.load_model(f"models:/{name}/2").predict(pd.DataFrame(rows))
    with served(f"models:/{name}/2", bench.mlflow_url) as url:
        body = json.dumps({"dataframe_records": rows}).encode()
        request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["predictions"] == said.to_dict("records")


@contextmanager
def served(model_uri: str, tracking_uri: str) -> Iterator[str]:
    """`mlflow models serve` as anybody would call it, in this environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "mlflow"), "models", "serve", "--env-manager", "local"]
    process = subprocess.Popen(
        [*command, "--model-uri", model_uri, "--port", str(port)],
        env=os.environ | {"MLFLOW_TRACKING_URI": tracking_uri, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or answers(f"{url}/ping"), 120, "the model is served")
        assert process.poll() is None
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_the_model_is_served_by_mlflow_from_its_files_alone(bench: Bench, tmp_path: Path) -> None:
    job = bench.finished_job()
    bench.carry_all(bench.relay(), job)
    (model,) = bench.models(bench.mlflow_run(job))
    mlflow.set_tracking_uri(bench.mlflow_url)
    folder = mlflow.artifacts.download_artifacts(f"models:/{model.model_id}", dst_path=str(tmp_path))
    serve = (
        "import json, sys; from mlflow.pyfunc import load_model; from mlflow.pyfunc.scoring_server import init;"
        "from starlette.testclient import TestClient;"
        "client = TestClient(init(load_model(sys.argv[1])));"
        "answer = client.post('/invocations', json=json.load(sys.stdin)); print(answer.status_code, answer.text);"
        "print(any(name.startswith('gradline.') for name in sys.modules))"
    )
    sent = json.dumps({"dataframe_records": MODEL["examples"]["rows"]})
    command = [sys.executable, "-W", "ignore", "-c", serve, folder]
    said = subprocess.run(command, input=sent, capture_output=True, text=True, timeout=120, check=True).stdout
    status, _, rest = said.partition(" ")
    body, imported = rest.strip().rsplit("\n", 1)
    assert (status, imported) == ("200", "False")
    card = Scorecard.parse(MODEL)
    expected = card.respond(card.linear_predictor(card.encode_rows(MODEL["examples"]["rows"])))
    found = [row["probability of yes"] for row in json.loads(body)["predictions"]]
    assert found == pytest.approx(expected[:, 1].tolist(), rel=1e-12)


@pytest.mark.parametrize(("status", "expected"), [(JobStatus.FAILED, "FAILED"), (JobStatus.CANCELLED, "KILLED")])
def test_a_job_that_did_not_succeed_ends_its_run_at_the_same_moment(
    bench: Bench, status: JobStatus, expected: str
) -> None:
    job, fence = bench.start()
    bench.report(fence, 0)
    relay = bench.relay()
    relay.round()
    assert bench.mlflow_run(job).info.status == "RUNNING"
    bench.finish(fence, status)
    bench.carry_all(relay, job)
    run = bench.mlflow_run(job)
    assert run.info.status == expected
    assert run.info.end_time == round(bench.find(job.id).finished_at.timestamp() * 1000)
    assert "a column is empty" in run.data.tags["mlflow.note.content"]


def test_a_dead_workers_run_ends_when_its_job_is_given_up(bench: Bench) -> None:
    job, _ = bench.start()
    relay = bench.relay()
    relay.round()
    while bench.jobs.rescue_of("worker"):
        if bench.find(job.id).status.is_terminal:
            break
        bench.claim(job)
    bench.carry_all(relay, job)
    run = bench.mlflow_run(job)
    assert (run.info.status, run.data.tags["gradline.error.code"]) == ("FAILED", "worker_lost")


def test_the_run_of_a_job_deleted_before_it_was_carried_still_ends_whole(bench: Bench) -> None:
    job, fence = bench.start()
    bench.report(fence, 0)
    relay = bench.relay()
    bench.carry_news(relay, job)
    bench.report(fence, 20)
    bench.finish(fence, JobStatus.CANCELLED)
    reported = bench.reported(job, "loss")
    bench.jobs.delete(job.id, job.owner)
    bench.carry_all(relay, job)
    run = bench.mlflow_run(job)
    assert run.info.status == "KILLED"
    assert bench.history(run, "fit/loss") == reported
    assert bench.jobs.purge(None) == 1
    assert bench.runs.find(job.id) is None


def test_a_job_has_no_run_while_it_waits_nor_when_it_ends_before_it_began(bench: Bench) -> None:
    job = bench.submit()
    bench.relay().round()
    assert bench.mlflow_runs(job) == []
    bench.jobs.cancel(job.id, job.owner)
    bench.relay().round()
    assert bench.mlflow_runs(job) == []


def test_all_attempts_of_a_job_share_one_run(bench: Bench) -> None:
    job, fence = bench.start()
    relay = bench.relay()
    bench.report(fence, 0, 20)
    relay.round()
    bench.jobs.release(fence)
    relay.round()
    second = bench.claim(job)
    bench.report(second, 20, 40)  # step 20 again, as after a resume
    bench.finish(second)
    bench.carry_all(relay, job)
    run = bench.mlflow_run(job)
    assert [step for step, *_ in bench.history(run, "fit/loss")] == [0, 20, 40]
    assert run.data.tags["gradline.attempt"] == "2"


def test_a_run_ends_with_its_job_but_stays_open_until_its_plots_are_drawn(bench: Bench) -> None:
    job, fence = bench.start()
    bench.finish(fence, drawings=PLOTS)
    relay = bench.relay()
    relay.round()
    run = bench.mlflow_run(job)
    assert run.info.status == "FINISHED"
    assert not bench.run_row(job).is_closed
    assert bench.paths(run, "images") == []
    assert draw_pending(bench.drawings, bench.jobs, bench.store)
    bench.carry_all(relay, job)
    assert len(bench.paths(run, "images")) == 2 * len(STEPS)
