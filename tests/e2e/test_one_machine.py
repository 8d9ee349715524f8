"""`gradline up` and the commands beside it, with every process really running."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.one_machine import BIN, SHELL_FILES, OneMachine, environment, processes_of
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(400)
ENDLESS = {"solver": {"name": "sgd", "learning_rate": 1e-6}, "stop": {"max_steps": 10_000_000, "tolerance": 0.0}}
README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneMachine]:
    stack = OneMachine.start(tmp_path_factory.mktemp("stack"))
    yield stack
    stack.clear_away()


def test_the_walk_of_the_readme_runs_as_it_stands(stack: OneMachine) -> None:
    blocks = shell_blocks(README.read_text())
    script = "\n".join(f"echo '=== {number}'\n{block}" for number, block in enumerate(blocks))
    ran = stack.run("bash", "-euo", "pipefail", "-c", script, GRADLINE_URL=stack.url)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    _, submitted, events, job, dataset, fit, predicted, refused, commands, lesson = ran.stdout.split("=== ")[1:]
    assert "> tensor([5.])" in lesson
    assert "y.backward(retain_graph=True)" in lesson
    assert json.loads(submitted[1:])["name"] == "my first job"
    assert "event: ended" in events
    assert '"outcome":"target_reached"' in job
    assert {column["name"]: column["n_missing"] for column in json.loads(dataset[1:])["columns"]} == {
        "species": 0,
        "weight": 0,
        "age, years": 1,
        "indoor": 0,
    }
    assert json.loads(fit[1:])["status"] == "succeeded"
    answer = json.loads(predicted[1:])
    assert answer["class_names"] == ["no", "yes"]
    assert len(answer["classes"]) == len(answer["probabilities"]) == 2
    assert "spec.data.target" in [fault["field"] for fault in json.loads(refused[1:])["errors"]]
    assert all(word in commands for word in ("iris-multinomial", "Converged at step", "my first job"))


def shell_blocks(markdown: str) -> list[str]:
    """What stands between ```sh and ```."""
    return [part.split("```")[0] for part in markdown.split("```sh\n")[1:]]


def test_a_job_that_cannot_be_done_is_refused_with_exit_code_2(stack: OneMachine) -> None:
    (stack.home.parent / "one.csv").write_text("x,y\n1,a\n2,a\n3,a\n4,a\n")
    dataset = stack.run("gradline", "upload", "one.csv", "-o", "id").stdout.strip()
    body = {
        "kind": "logistic-regression",
        "spec": {"data": {"source": "dataset", "dataset_id": dataset, "target": "y", "features": ["x"]}},
    }
    (stack.home.parent / "job.json").write_text(json.dumps(body))
    ran = stack.run("gradline", "submit", "job.json", "--follow")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "spec.data.target: has one class only" in ran.stderr


def test_a_job_that_fails_makes_the_command_exit_with_1(stack: OneMachine) -> None:
    body = {"kind": "logistic-regression", "spec": ENDLESS, "deadline_s": 1.0}
    (stack.home.parent / "late.json").write_text(json.dumps(body))
    ran = stack.run("gradline", "submit", "late.json", "--follow", "-o", "json")
    assert ran.returncode == 1, ran.stderr
    assert json.loads(ran.stdout)["status"] == "failed"


def test_a_job_whose_lane_has_no_worker_says_so(stack: OneMachine) -> None:
    (stack.home.parent / "gpu.json").write_text('{"kind": "logistic-regression", "spec": {}, "lane": "gpu"}')
    ran = stack.run("gradline", "submit", "gpu.json")
    assert ran.returncode == 0
    assert "No worker of lane gpu is alive" in ran.stderr
    assert stack.run("gradline", "cancel", ran.stdout.strip()).returncode == 0


def test_refused_input_names_its_fields(stack: OneMachine) -> None:
    body = {"kind": "logistic-regression", "spec": {"stop": {"max_steps": 0}, "colour": "red"}}
    (stack.home.parent / "bad.json").write_text(json.dumps(body))
    ran = stack.run("gradline", "submit", "bad.json")
    assert ran.returncode == 2
    assert "spec.stop.max_steps: " in ran.stderr
    assert "spec.colour: " in ran.stderr
    assert ran.stdout == ""


def test_ctrl_c_leaves_a_watched_job_running_and_cancel_ends_it(stack: OneMachine) -> None:
    job_id = submit_endless(stack)
    watching = stack.start_command("gradline", "watch", job_id)
    wait_until(lambda: "step" in watching.talk.read_text(), 60)
    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(20) == 130
    assert f"gradline cancel {job_id}" in watching.talk.read_text()
    assert json.loads(stack.run("gradline", "show", job_id, "-o", "json").stdout)["status"] == "running"
    assert stack.run("gradline", "cancel", job_id).returncode == 0
    ended = stack.run("gradline", "watch", job_id, "-o", "json")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["status"] == "cancelled"


def submit_endless(stack: OneMachine) -> str:
    body = {"kind": "logistic-regression", "name": "endless", "spec": ENDLESS}
    (stack.home.parent / "endless.json").write_text(json.dumps(body))
    submitted = stack.run("gradline", "submit", "endless.json")
    assert submitted.returncode == 0, submitted.stderr
    return submitted.stdout.strip()


def test_the_api_may_hold_open_more_streams_than_a_login_shell_allows(stack: OneMachine) -> None:
    (api,) = (each for each in processes_of(stack.home) if "gradline.api.main" in each.cmdline())
    soft, hard = api.rlimit(psutil.RLIMIT_NOFILE)
    assert soft == hard > SHELL_FILES


def test_a_second_up_says_where_the_first_one_runs(stack: OneMachine) -> None:
    ran = stack.run("gradline", "up")
    assert ran.returncode == 0
    assert "already runs" in ran.stderr
    assert stack.url in ran.stderr
    assert str(stack.note["pid"]) in ran.stderr


def test_doctor_finds_the_running_stack_well(stack: OneMachine) -> None:
    ran = stack.run("gradline", "doctor")
    assert ran.returncode == 0, ran.stdout
    verdicts = {line[5:20].strip(): line.split()[0] for line in ran.stdout.splitlines()}
    assert verdicts["API"] == verdicts["worker cpu"] == verdicts["database"] == "ok"


def test_a_worker_that_dies_is_replaced_and_the_job_still_ends(stack: OneMachine) -> None:
    worker = next(p for p in processes_of(stack.home) if "gradline.worker.main" in p.cmdline() and "cpu" in p.cmdline())
    worker.kill()
    ran = stack.run("gradline", "submit", "--example", "notes-logistic-regression", "--follow")
    assert ran.returncode == 0, ran.stderr
    assert "Target reached at step 380" in ran.stdout
    assert "worker-cpu ended (signal SIGKILL)" in stack.talk.read_text()


def test_ctrl_c_stops_everything_and_the_next_up_finds_the_data(tmp_path: Path) -> None:
    first = OneMachine.start(tmp_path)
    try:
        job_id = first.run("gradline", "submit", "--example", "notes-logistic-regression", "-o", "id").stdout.strip()
        assert first.stop() == 0
        assert processes_of(first.home) == []
    finally:
        first.clear_away()
    second = OneMachine.start(tmp_path)
    try:
        assert second.run("gradline", "watch", job_id).returncode == 0
        assert second.stop() == 0
    finally:
        second.clear_away()


def test_a_terminal_that_is_closed_stops_everything(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    home = tmp_path / "home"
    command = [BIN / "gradline", "up", "--port", "0", "--mlflow-port", "0"]
    with subprocess.Popen(command, env=environment(home), stdout=theirs, stderr=theirs) as process:
        try:
            os.close(theirs)
            wait_until((home / "stack.json").exists, 60)
            os.close(ours)  # from now on whatever it says fails
            process.send_signal(signal.SIGHUP)
            process.wait(60)
            assert processes_of(home) == []
        finally:
            for left in processes_of(home):
                left.kill()


def test_nothing_outlives_an_up_that_is_killed(tmp_path: Path) -> None:
    stack = OneMachine.start(tmp_path)
    try:
        wait_until(lambda: len(processes_of(stack.home)) >= 6, 60, "API, Redis, worker and child, conductor, guard")
        stack.process.kill()
        stack.process.wait()
        wait_until(lambda: processes_of(stack.home) == [], 60, "no orphans")
    finally:
        stack.clear_away()
