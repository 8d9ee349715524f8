"""Relays that die and servers that go away: nothing is lost and nothing is there twice."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from gradline.db.records import Artifact
from gradline.relay.tracking import Tracking
from gradline.status import JobStatus
from tests.factories import NOTES_SPEC
from tests.integration.relay.bench import STEPS, Bench, result
from tests.integration.relay.mlflow_server import Gate
from tests.waiting import wait_until


class Killed(BaseException):
    """Stands for kill -9: nothing in the relay catches it."""


class DyingTracking(Tracking):
    """The real server, and a relay that dies right after one call to it has been answered."""

    def __init__(self, uri: str, last_call: str) -> None:
        super().__init__(uri)
        owner = self.client if hasattr(self.client, last_call) else self
        real = getattr(owner, last_call)

        def call_and_die(*args: Any, **kwargs: Any) -> None:
            real(*args, **kwargs)
            raise Killed

        setattr(owner, last_call, call_and_die)


CALLS = """create_experiment create_run log_dataset log end_run upload
create_logged_model log_model_artifacts log_outputs log_of_model create_registered_model create_model_version"""


@pytest.mark.parametrize("last_call", CALLS.split())
def test_a_relay_that_dies_after_any_call_leaves_no_second_copy(bench: Bench, last_call: str) -> None:
    name = f"model {uuid4().hex}"
    job = bench.finished_job(spec=NOTES_SPEC | {"report": {"register_as": name}})
    dying = bench.relay("dying", tracking=DyingTracking(bench.mlflow_url, last_call))
    with pytest.raises(Killed):
        dying.round()
    bench.let_leases_lapse()
    bench.carry_all(bench.relay("next"), job)
    run = bench.mlflow_run(job)
    for key in ("loss", "accuracy"):
        assert bench.history(run, f"fit/{key}") == bench.reported(job, key)
    assert len(bench.history(run, "train.log_loss")) == 1
    assert len(bench.paths(run, "images")) == 2 * len(STEPS)
    assert len(run.inputs.dataset_inputs) == 1
    (model,) = bench.models(run)
    assert model.status == "READY"
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    (version,) = bench.client.search_model_versions(f"name = '{name}'")
    assert (int(version.version), version.source) == (1, f"models:/{model.model_id}")
    assert run.info.status == "FINISHED"


def test_a_relay_whose_lease_has_lapsed_writes_no_progress(bench: Bench) -> None:
    job, fence = bench.start()
    bench.report(fence, 0)
    (stale,) = bench.runs.claim_due("stale")
    bench.runs.give_back("stale")
    bench.carry_news(bench.relay("next"), job)
    assert not bench.runs.advance("stale", stale, 1, pause_s=0.0)
    assert bench.run_row(job).synced_seq == bench.find(job.id).last_seq


def test_a_server_that_was_away_gets_everything_once_it_is_back(bench: Bench, gate: Gate) -> None:
    jobs = [bench.start(lane="cpu") for _ in range(2)]
    relay = bench.relay(tracking=Tracking(gate.url))
    for job, fence in jobs:
        bench.report(fence, *STEPS)
        bench.finish(fence)
        relay.round()
        assert bench.mlflow_runs(job) == []
        row = bench.run_row(job)
        assert (row.synced_seq, row.n_failures, row.is_closed) == (0, 0, False)  # the server's fault, not the job's
    gate.open()
    for job, _ in jobs:
        bench.carry_all(relay, job)
        run = bench.mlflow_run(job)
        assert bench.history(run, "fit/loss") == bench.reported(job, "loss")
        assert run.info.status == "FINISHED"


def test_a_server_that_goes_away_in_between_gets_the_rest_later(bench: Bench, gate: Gate) -> None:
    gate.open()
    job, fence = bench.start()
    relay = bench.relay(tracking=Tracking(gate.url))
    bench.report(fence, 0)
    bench.carry_news(relay, job)
    gate.shut()
    bench.report(fence, 20, 40)
    bench.finish(fence, JobStatus.FAILED)
    relay.round()
    assert [step for step, *_ in bench.history(bench.mlflow_run(job), "fit/loss")] == [0]
    gate.open()
    bench.carry_all(relay, job)
    run = bench.mlflow_run(job)
    assert bench.history(run, "fit/loss") == bench.reported(job, "loss")
    assert run.info.status == "FAILED"


def test_a_relay_leaves_a_server_that_is_away_alone(bench: Bench) -> None:
    for _ in range(3):
        bench.start()
    asked: list[str] = []

    class CountingTracking(Tracking):
        def experiment_id(self, name: str) -> str:
            asked.append(name)
            return super().experiment_id(name)

    relay = bench.relay(tracking=CountingTracking("http://127.0.0.1:9"))
    waits_s = [relay.round() for _ in range(5)]
    assert len(asked) == 1  # one run of three was tried, once
    assert all(wait_s > 0.1 for wait_s in waits_s)


def test_a_run_that_was_deleted_in_mlflow_is_left_alone(bench: Bench) -> None:
    job, fence = bench.start()
    relay = bench.relay()
    bench.carry_news(relay, job)
    bench.client.delete_run(bench.mlflow_run(job).info.run_id)
    bench.report(fence, 0)
    bench.carry_all(relay, job)
    assert bench.run_row(job).error == "the run was deleted in MLflow"
    assert bench.mlflow_runs(job) == []


def test_a_server_that_lost_its_data_gets_the_whole_run_again(bench: Bench) -> None:
    job, fence = bench.start()
    bench.report(fence, *STEPS)
    (run,) = bench.runs.claim_due("earlier")
    bench.runs.set_run_id("earlier", job.id, "1", "0" * 32)  # as if it had been there
    assert bench.runs.advance("earlier", run, bench.find(job.id).last_seq, pause_s=0.0)
    bench.finish(fence)
    bench.carry_all(bench.relay(), job)
    found = bench.mlflow_run(job)
    assert bench.history(found, "fit/loss") == bench.reported(job, "loss")
    assert found.data.params["seed"] == "10"


def test_a_run_that_cannot_be_carried_waits_without_holding_up_the_others(bench: Bench) -> None:
    damaged, fence = bench.start()
    missing = Artifact("curve", "curve", "text/plain", "d" * 64, 1)
    bench.jobs.finish(fence, JobStatus.SUCCEEDED, result=result(), artifacts=[missing])
    job, fence = bench.start()
    bench.finish(fence)
    relay = bench.relay()
    bench.carry_all(relay, job)
    row = bench.run_row(damaged)
    assert row.n_failures >= 1
    assert "d" * 64 in row.error
    assert not row.is_closed
    assert bench.mlflow_run(damaged).info.status == "FINISHED"  # a lost file does not keep the run open
    assert bench.history(bench.mlflow_run(damaged), "train.log_loss")


def test_the_process_stops_within_seconds_of_sigterm(bench: Bench, tmp_path: Path) -> None:
    bench.start()
    environment = {
        "GRADLINE_DATABASE_URL": bench.database.url.render_as_string(hide_password=False),
        "GRADLINE_HOME": str(tmp_path),
        "GRADLINE_MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    }
    log = tmp_path / "relay.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gradline.relay.main"], env=os.environ | environment, stderr=output
        )
    try:
        wait_until(lambda: "mlflow_down" in log.read_text(), 60.0, "the relay has tried the server")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10.0) == 0
    finally:
        process.kill()
        process.wait()
    assert "relay_stopped" in log.read_text()
