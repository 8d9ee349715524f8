"""What an attempt says: events in order, each once, with artifacts and checkpoints in the same transaction."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from gradline.db.jobs import JobStore
from gradline.db.records import NewEvent
from gradline.status import EventKind, JobStatus
from tests.factories import artifact, checkpoint, metric
from tests.integration.store.steps import claimed, fence, kinds, reread, running


def test_events_come_back_in_the_order_in_which_they_were_recorded(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.record(fence(job), [metric(step) for step in range(5)])
    job_store.record(fence(job), [metric(step) for step in range(5, 8)])
    events = job_store.events(job.id)
    assert [event.data["step"] for event in events if event.kind is EventKind.METRIC] == list(range(8))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert reread(job_store, job).last_seq == events[-1].seq
    assert {event.attempt for event in events[1:]} == {1}


def test_events_can_be_read_from_any_point_and_by_kind(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.record(fence(job), [metric(1), NewEvent(EventKind.WARNING, {"code": "x"}), metric(2)])
    all_of_them = job_store.events(job.id)
    assert job_store.events(job.id, after=3) == all_of_them[3:]
    assert job_store.events(job.id, limit=2) == all_of_them[:2]
    assert [event.data["step"] for event in job_store.events(job.id, kinds=[EventKind.METRIC])] == [1, 2]
    assert job_store.events(job.id, after=all_of_them[-1].seq) == []


def test_a_step_that_a_resumed_attempt_repeats_adds_nothing(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.record(fence(job), [metric(1, 0.5), metric(2, 0.25)])
    job_store.release(fence(job))
    second = claimed(job_store)
    job_store.record(fence(second), [metric(2, 0.25), metric(3, 0.125)])
    metrics = job_store.events(job.id, kinds=[EventKind.METRIC])
    assert [(event.data["step"], event.attempt) for event in metrics] == [(1, 1), (2, 1), (3, 2)]
    assert EventKind.WARNING not in kinds(job_store, job)


def test_the_newest_sequence_number_is_that_of_an_event_also_after_a_repeat(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.record(fence(job), [metric(1)])
    job_store.record(fence(job), [metric(1)])
    job_store.record(fence(job), [metric(1), metric(2)])
    events = job_store.events(job.id)
    assert reread(job_store, job).last_seq == events[-1].seq
    assert [event.seq for event in events] == [1, 2, 3, 4]


def test_a_key_twice_in_one_call_counts_once(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.record(fence(job), [metric(1), metric(1), metric(2)])
    assert [e.data["step"] for e in job_store.events(job.id, kinds=[EventKind.METRIC])] == [1, 2]


def test_a_repeated_step_with_another_result_is_told_and_does_not_replace_it(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.record(fence(job), [metric(1, 0.5)])
    job_store.release(fence(job))
    job_store.record(fence(claimed(job_store)), [metric(1, 0.500001)])
    assert [event.data["values"] for event in job_store.events(job.id, kinds=[EventKind.METRIC])] == [{"loss": 0.5}]
    (warning,) = job_store.events(job.id, kinds=[EventKind.WARNING])
    assert warning.data["code"] == "nondeterminism"
    assert warning.data["stored"]["values"] == {"loss": 0.5}
    assert warning.data["repeated"]["values"] == {"loss": 0.500001}


@pytest.mark.parametrize("loss", [1e23, 1e300, 5e-324, 0.1, -0.0, 123456789.123456789, None, 3])
def test_no_value_looks_like_another_once_it_was_stored(job_store: JobStore, loss: float | None) -> None:
    job = running(job_store)
    event = NewEvent(EventKind.METRIC, {"step": 1, "values": {"loss": loss}}, once_key="metric:1")
    job_store.record(fence(job), [event])
    job_store.record(fence(job), [event])
    assert EventKind.WARNING not in kinds(job_store, job)


def test_an_artifact_is_told_once_and_the_same_name_replaces_it(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.record(fence(job), artifacts=[artifact("a", "1" * 64), artifact("b", "2" * 64, step=20, kind="image")])
    job_store.record(fence(job), artifacts=[artifact("a", "3" * 64)])
    assert [(a.name, a.sha256, a.step) for a in job_store.artifacts(job.id)] == [
        ("a", "3" * 64, None),
        ("b", "2" * 64, 20),
    ]
    told = job_store.events(job.id, kinds=[EventKind.ARTIFACT])
    assert [event.data["name"] for event in told] == ["a", "b"]
    assert told[1].data == {"name": "b", "kind": "image", "media_type": artifact().media_type, "step": 20}
    found = job_store.find_artifact(job.id, "a")
    assert found is not None
    assert found.sha256 == "3" * 64
    assert job_store.find_artifact(job.id, "c") is None


def test_the_newest_two_checkpoints_are_kept_and_the_end_drops_them(job_store: JobStore) -> None:
    job = running(job_store)
    for step in (10, 20, 30):
        job_store.record(
            fence(job), [metric(step)], checkpoint=checkpoint(step, f"{step}" * 32), progress={"step": step}
        )
    saved = job_store.latest_checkpoints(job.id)
    assert [(s.step, s.sha256, s.attempt) for s in saved] == [(30, "30" * 32, 1), (20, "20" * 32, 1)]
    assert saved[0].fingerprint == {"n_threads": 1}
    assert reread(job_store, job).progress == {"step": 30}
    assert kinds(job_store, job)[-2:] == [EventKind.METRIC, EventKind.CHECKPOINT]
    job_store.finish(fence(job), JobStatus.SUCCEEDED)
    assert job_store.latest_checkpoints(job.id) == []


def test_a_checkpoint_of_the_same_step_replaces_the_earlier_attempts(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.record(fence(job), checkpoint=checkpoint(10, "1" * 64))
    job_store.release(fence(job))
    job_store.record(fence(claimed(job_store)), checkpoint=checkpoint(10, "2" * 64))
    assert [(s.sha256, s.attempt) for s in job_store.latest_checkpoints(job.id)] == [("2" * 64, 2)]


def test_four_threads_of_one_attempt_lose_and_double_nothing(job_store: JobStore) -> None:
    job = running(job_store)

    def say(first: int) -> None:
        for step in range(first, 80, 4):
            job_store.record(fence(job), [metric(step)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(say, range(4)))
    events = job_store.events(job.id)
    assert sorted(e.data["step"] for e in events if e.kind is EventKind.METRIC) == list(range(80))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
