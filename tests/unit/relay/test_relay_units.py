"""What a job says in MLflow, and when a server is left alone."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from gradline.db.jobs import JobStore
from gradline.db.records import Artifact, Event, Job
from gradline.db.session import Database
from gradline.relay import content
from gradline.relay.breaker import LONGEST_WAIT_S, Breaker
from gradline.relay.images import write_image
from gradline.specs import parse_spec
from gradline.status import EventKind
from tests import factories

JOB_ID = UUID("01a2041c-9652-7460-a0f1-150a189e430a")


def event(kind: EventKind, **data: object) -> Event:
    return Event(JOB_ID, 1, kind, 1, dict(data), datetime(2026, 1, 1, tzinfo=UTC))


def job_of(sqlite_url: str, spec: dict[str, object], kind: str = "logistic-regression") -> Job:
    """A job whose spec is stored as the API stores it."""
    stored = parse_spec(kind, spec).model_dump(mode="json")
    return JobStore(Database(sqlite_url)).submit(factories.new_job(kind=kind, spec=stored))[0]


def test_parameters_are_where_a_spec_departs_from_the_defaults_and_what_is_always_compared(sqlite_url: str) -> None:
    job = job_of(sqlite_url, {"solver": {"name": "sgd", "momentum": 0.9}, "split": {"validation_fraction": 0.25}})
    assert content.parameters(job) == {
        "data.source": "blobs",
        "model.family": "auto",
        "penalty.l1": "0.0",
        "penalty.l2": "0.0",
        "solver.name": "sgd",
        "solver.learning_rate": str(job.spec["solver"]["learning_rate"]),
        "solver.momentum": "0.9",
        "split.validation_fraction": "0.25",
        "seed": "0",
    }


def test_a_spec_of_a_kind_without_defaults_tells_what_was_given(sqlite_url: str) -> None:
    assert content.parameters(job_of(sqlite_url, {"program": "x = 1", "pictures": False}, "autograd")) == {
        "program": "x = 1",
        "pictures": "false",
        "seed": "0",
    }


def test_a_spec_that_another_version_took_is_told_whole(sqlite_url: str) -> None:
    spec = {"fit": {"rate": 1e-06}, "plots": ["loss"], "is_fast": True}
    job, _ = JobStore(Database(sqlite_url)).submit(factories.new_job(spec=spec))
    assert content.parameters(job) == {"fit.rate": "1e-06", "plots": '["loss"]', "is_fast": "true"}


def test_points_leave_out_what_was_not_a_number() -> None:
    (point,) = content.points([event(EventKind.METRIC, step=3, values={"loss": None, "accuracy": 1.0})])
    assert (point.key, point.value, point.step, point.timestamp_ms) == ("fit/accuracy", 1.0, 3, 1767225600000)


def test_a_recipe_without_its_own_seed_is_another_data_set_for_another_job_seed(sqlite_url: str) -> None:
    store = JobStore(Database(sqlite_url))
    jobs = [store.submit(factories.new_job(spec=factories.NOTES_SPEC | {"seed": seed}))[0] for seed in (10, 10, 11)]
    inputs = [content.dataset_input(job, None) for job in jobs]
    hashes = [found.sha256 for found in inputs if found is not None]
    assert hashes[0] == hashes[1] != hashes[2]


def test_warnings_and_checkpoints_become_tags() -> None:
    tags = content.news_tags(
        [event(EventKind.WARNING, code="separable", message="no minimum"), event(EventKind.CHECKPOINT, step=40)]
    )
    assert tags == {"gradline.warning.separable": "no minimum", "gradline.checkpoint.step": "40"}


@pytest.mark.parametrize("name", ["boundary/step-000380.png", "nested/boundary/step-000380.png"])
def test_an_image_always_has_the_same_file_names(tmp_path, name: str) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes.fromhex(
        "0000000d49484452000000010000000108000000003a7e9b55"
        "0000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
    )
    created = datetime(2026, 1, 1, tzinfo=UTC)
    artifact = Artifact(name, "image", "image/png", "a" * 64, len(png), 380, created)
    for _ in range(2):
        write_image(tmp_path, JOB_ID, artifact, png)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2
    key, word, step, *_ = names[0].split("+")
    assert (word, step) == ("step", "380")
    assert key == "fit~" + name.removesuffix("/step-000380.png").replace("/", "~")


def test_a_breaker_waits_longer_with_each_failure_and_is_reset_by_an_answer() -> None:
    now = [0.0]
    breaker, waits_s = Breaker(lambda: now[0]), []
    for _ in range(8):
        breaker.trip()
        waits_s.append(breaker.wait_s)
        now[0] += breaker.wait_s
        assert breaker.wait_s == 0.0
    assert waits_s[0] < 1.5 < waits_s[2]
    assert max(waits_s) <= 1.25 * LONGEST_WAIT_S
    breaker.reset()
    assert not breaker.is_tripped
    assert breaker.wait_s == 0.0
