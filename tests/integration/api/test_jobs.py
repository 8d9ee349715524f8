"""Reading and changing jobs."""

from typing import Any
from uuid import uuid4

import pytest

from gradline.status import JobStatus
from tests.factories import metric, new_job
from tests.integration.api.checks import fields, problem
from tests.integration.api.conftest import Api


def test_pages_stay_true_while_jobs_are_added(api_on_each: Api) -> None:
    jobs = [api_on_each.submit()["id"] for _ in range(7)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = api_on_each.client.get("/v1/jobs", params=query).json()
        seen += [job["id"] for job in page["items"]]
        api_on_each.submit()
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == jobs[::-1]


def test_a_page_that_holds_the_last_job_has_no_next_cursor(api: Api) -> None:
    for _ in range(3):
        api.submit()
    assert api.client.get("/v1/jobs", params={"limit": 3}).json()["next_cursor"] is None


def test_filters_select_by_status_kind_and_label(api_on_each: Api) -> None:
    first = api_on_each.submit(labels={"team.x/y": "a:b", "run": "1"})["id"]
    second = api_on_each.submit(labels={"run": "2"})["id"]
    api_on_each.client.post(f"/v1/jobs/{second}/cancel")

    def ids(**query: str) -> list[str]:
        return [job["id"] for job in api_on_each.client.get("/v1/jobs", params=query).json()["items"]]

    assert ids(label="team.x/y:a:b") == [first]
    assert ids(label="run:2") == [second]
    assert ids(label="run:3") == []
    assert ids(status="queued") == [first]
    assert ids(status="cancelled", kind="logistic-regression") == [second]
    assert ids(kind="autograd") == []


@pytest.mark.parametrize("cursor", ["nonsense", "é", "", "AAAA", "A" * 34, "%00"])
def test_a_cursor_that_is_not_ours_is_refused(api: Api, cursor: str) -> None:
    assert list(fields(api.client.get("/v1/jobs", params={"cursor": cursor}))) == ["cursor"]


def test_a_cursor_of_a_list_with_other_filters_is_refused(api: Api) -> None:
    for _ in range(2):
        api.submit()
    cursor = api.client.get("/v1/jobs", params={"limit": 1, "status": "queued"}).json()["next_cursor"]
    answer = api.client.get("/v1/jobs", params={"limit": 1, "cursor": cursor})
    assert fields(answer) == {"cursor": cursor}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"status": "done"}, "status"),
        ({"label": "nocolon"}, "label"),
        ({"kind": "\0"}, "kind"),
        ({"lable": "a:b"}, "lable"),
    ],
)
def test_a_bad_or_unknown_parameter_is_named(api: Api, query: dict[str, str], field: str) -> None:
    answer = api.client.get("/v1/jobs", params=query)
    assert list(fields(answer)) == [field]
    assert "permitted" not in answer.text


def test_an_id_that_is_none_is_refused_in_words(api: Api) -> None:
    answer = api.client.get("/v1/jobs/xyz")
    assert fields(answer) == {"job_id": "xyz"}
    assert "must be an id as the API gives it" in answer.json()["detail"]


def test_a_running_job_shows_its_progress(api: Api) -> None:
    job_id = api.submit()["id"]
    _, fence = api.claim(job_id)
    progress = {"step": 20, "total_steps": 100, "fraction": 0.2, "eta_s": 1.5}
    api.services.jobs.record(fence, progress=progress)
    job = api.job(job_id)
    assert job["progress"] == progress
    assert (job["status"], job["attempt"], job["worker_id"]) == ("running", 1, "cpu@test-1")
    assert job["queue_position"] is None


def test_an_ended_job_shows_its_result_or_error(api: Api) -> None:
    good, bad = api.submit()["id"], api.submit()["id"]
    _, fence = api.claim(good)
    api.services.jobs.finish(fence, JobStatus.SUCCEEDED, result={"outcome": "converged", "steps": 3})
    _, fence = api.claim(bad)
    api.services.jobs.finish(fence, JobStatus.FAILED, error={"code": "bad_data", "message": "no rows"})
    assert api.job(good)["result"] == {"outcome": "converged", "steps": 3}
    assert api.job(bad)["error"]["code"] == "bad_data"
    assert api.job(bad)["finished_at"] is not None


def test_mlflow_shows_the_run_and_whether_all_is_there(api: Api) -> None:
    job_id = api.submit()["id"]
    job, fence = api.claim(job_id)
    runs = api.services.runs
    (run,) = runs.claim_due("relay-1")
    assert runs.set_run_id("relay-1", job.id, "7", "abc")
    shown = api.job(job_id)["mlflow"]
    assert shown["url"] == "http://127.0.0.1:1/#/experiments/7/runs/abc?workflowType=machine_learning"
    assert (shown["experiment_id"], shown["run_id"], shown["synced"]) == ("7", "abc", False)
    assert api.client.get("/v1/jobs").json()["items"][0]["mlflow"] == shown
    assert runs.advance("relay-1", run, api.services.jobs.marks([job.id])[job.id].last_seq, pause_s=0.0)
    assert api.job(job_id)["mlflow"]["synced"] is True
    api.services.jobs.record(fence, [metric(0)])
    assert api.job(job_id)["mlflow"]["synced"] is False


def test_cancelling_a_queued_job_ends_it_and_repeating_it_changes_nothing(api: Api) -> None:
    job_id = api.submit()["id"]
    for _ in range(2):
        answer = api.client.post(f"/v1/jobs/{job_id}/cancel")
        assert answer.status_code == 202
        assert answer.json()["status"] == "cancelled"


def test_cancelling_a_running_job_asks_for_it(api: Api) -> None:
    job_id = api.submit()["id"]
    _, fence = api.claim(job_id)
    answer = api.client.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    assert answer.json()["cancel_requested_at"] is not None
    assert api.services.jobs.is_cancel_requested(fence)


def test_cancelling_a_job_that_succeeded_is_refused(api: Api) -> None:
    job_id = api.submit()["id"]
    _, fence = api.claim(job_id)
    api.services.jobs.finish(fence, JobStatus.SUCCEEDED, result={})
    problem(api.client.post(f"/v1/jobs/{job_id}/cancel"), 409, "job_ended")


def test_a_higher_priority_moves_a_job_to_the_front(api: Api) -> None:
    first, second = api.submit()["id"], api.submit()["id"]
    assert api.job(second)["queue_position"] == 2
    answer = api.client.patch(f"/v1/jobs/{second}", json={"priority": 9})
    assert (answer.status_code, answer.json()["priority"], answer.json()["queue_position"]) == (200, 9, 1)
    assert api.job(first)["queue_position"] == 2


@pytest.mark.parametrize(
    ("body", "field"), [({"priority": 10}, "priority"), ({}, "priority"), ({"priority": 1, "name": "x"}, "name")]
)
def test_a_change_of_anything_else_is_refused(api: Api, body: dict[str, Any], field: str) -> None:
    job_id = api.submit()["id"]
    assert list(fields(api.client.patch(f"/v1/jobs/{job_id}", json=body))) == [field]


def test_the_priority_of_a_running_job_cannot_change(api: Api) -> None:
    job_id = api.submit()["id"]
    api.claim(job_id)
    problem(api.client.patch(f"/v1/jobs/{job_id}", json={"priority": 1}), 409, "not_queued")


def test_a_job_is_deleted_only_once_it_has_ended(api: Api) -> None:
    job_id = api.submit()["id"]
    problem(api.client.delete(f"/v1/jobs/{job_id}"), 409, "not_ended")
    api.client.post(f"/v1/jobs/{job_id}/cancel")
    answer = api.client.delete(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    problem(api.client.get(f"/v1/jobs/{job_id}"), 404, "not_found")


def test_resubmitting_makes_a_new_job_that_asks_for_the_same(api: Api) -> None:
    old = api.submit(name="n", labels={"a": "b"}, priority=7, deadline_s=60.0)
    answer = api.client.post(f"/v1/jobs/{old['id']}/resubmit")
    assert answer.status_code == 202
    new = answer.json()
    assert new["id"] != old["id"]
    same = ("kind", "spec", "name", "labels", "priority", "deadline_s", "lane", "experiment", "max_attempts")
    assert {name: new[name] for name in same} == {name: old[name] for name in same}


def test_metric_points_come_in_the_order_of_their_steps(api: Api) -> None:
    job_id = api.submit()["id"]
    _, fence = api.claim(job_id)
    api.services.jobs.record(fence, [metric(0, 0.4), metric(20, 0.2)])
    points = api.client.get(f"/v1/jobs/{job_id}/metrics").json()["items"]
    assert [(point["step"], point["values"]) for point in points] == [(0, {"loss": 0.4}), (20, {"loss": 0.2})]


@pytest.mark.parametrize("call", ["", "/cancel", "/resubmit", "/events", "/metrics", "/artifacts", "/artifacts/x.png"])
def test_a_job_of_another_owner_is_not_there(api: Api, call: str) -> None:
    job, _ = api.services.jobs.submit(new_job(owner="ada"))
    method = "POST" if call in ("/cancel", "/resubmit") else "GET"
    problem(api.client.request(method, f"/v1/jobs/{job.id}{call}"), 404, "not_found")
    problem(api.client.request(method, f"/v1/jobs/{uuid4()}{call}"), 404, "not_found")
    assert api.client.get("/v1/jobs").json()["items"] == []


def test_an_id_that_is_none_is_named(api: Api) -> None:
    assert fields(api.client.get("/v1/jobs/seven")) == {"job_id": "seven"}
