"""`POST /v1/jobs/{id}/predict`: a finished model answers rows, strictly."""

import json
import math
from typing import Any
from uuid import UUID

import pytest

from gradline.api.predictions import service
from gradline.api.predictions.routes import _BODY
from gradline.db.records import Artifact
from gradline.scoring import FORMAT, VERSION
from gradline.status import JobStatus
from tests.integration.api.conftest import Api

MODEL: dict[str, Any] = {
    "format": FORMAT,
    "version": VERSION,
    "family": "binomial",
    "target": "ill",
    "classes": ["no", "yes"],
    "threshold": 0.5,
    "inputs": [
        {"column": "age", "type": "number", "fill": 40.0},
        {"column": "smoker", "type": "boolean", "fill": None},
        {"column": "city", "type": "text", "levels": ["Bonn", "Kiel", "Ulm"], "missing": "Ulm", "unseen": "Bonn"},
    ],
    "offset": None,
    "features": [
        {"name": "age", "factors": [{"column": "age"}], "coefficients": [0.1]},
        {"name": "age is missing", "factors": [{"column": "age", "is_missing": True}], "coefficients": [3.0]},
        {"name": "smoker", "factors": [{"column": "smoker"}], "coefficients": [2.0]},
        {"name": "city=Kiel", "factors": [{"column": "city", "level": "Kiel"}], "coefficients": [-1.0]},
        {"name": "city=Ulm", "factors": [{"column": "city", "level": "Ulm"}], "coefficients": [0.5]},
        {
            "name": "age * city=Ulm",
            "factors": [{"column": "age"}, {"column": "city", "level": "Ulm"}],
            "coefficients": [0.01],
        },
    ],
    "intercepts": [-4.0],
}
ROWS = [
    {"age": 30, "smoker": True, "city": "Kiel"},
    {"age": None, "smoker": False, "city": None},
    {"age": 71.5, "smoker": False, "city": "Rome"},
]
PREDICTORS = [-4 + 3 + 2 - 1, -4 + 4 + 3 + 0.5 + 0.4, -4 + 7.15]

TOLD = MODEL | {
    "means": [35.0, 0.1, 0.25, 0.5, 0.25, 9.0],
    "uncertainty": {
        "withheld": None,
        "df": None,
        "variance": None,
        "centres": [40.0, 0.0, 0.5, 0.0, 0.0, 10.0],
        "covariance": [[0.0] * i + [0.01] for i in range(6)] + [[0.002, 0, 0, 0, 0, 0, 0.04]],
    },
}
"""The same as it is stored now: errors of coefficients go their own ways, but that of age with the intercept's."""
STD_ERRORS = [
    (0.01 * (10**2 + 0.5**2 + 1 + 10**2) + 2 * 0.002 * -10 + 0.04) ** 0.5,
    (0.01 * (1 + 0.5**2 + 1 + 30**2) + 0.04) ** 0.5,
    (0.01 * (31.5**2 + 0.5**2 + 10**2) + 2 * 0.002 * 31.5 + 0.04) ** 0.5,
]
CONTRIBUTIONS = [[0.1 * -5 - 0.3, 1.5, -1 + 0.5 - 0.125, -0.09], [0.1 * 5 + 2.7, -0.5, 0.5 + 0.5 - 0.125, 0.4 - 0.09]]


def finished(api: Api, model: dict[str, Any] | None = MODEL, **body: Any) -> str:
    """A job that a worker has trained; its id."""
    job_id = api.submit(**body)["id"]
    _, fence = api.claim(job_id)
    artifacts = []
    if model is not None:
        stored = api.services.store.put(json.dumps(model).encode())
        artifacts = [Artifact("model.json", "model", "application/json", stored.sha256, stored.size_bytes)]
    api.services.jobs.finish(fence, JobStatus.SUCCEEDED, result={"outcome": "diverged"}, artifacts=artifacts)
    return str(job_id)


def test_rows_are_answered_with_probabilities_and_classes(api: Api) -> None:
    answer = api.client.post(f"/v1/jobs/{finished(api)}/predict", json={"rows": ROWS})
    assert answer.status_code == 200, answer.text
    said = answer.json()
    expected = [1 / (1 + math.exp(-z)) for z in PREDICTORS]
    assert [p[1] for p in said["probabilities"]] == pytest.approx(expected, rel=1e-12)
    assert [sum(p) for p in said["probabilities"]] == pytest.approx([1.0] * 3)
    assert said["classes"] == ["yes" if z >= 0 else "no" for z in PREDICTORS]
    assert (said["class_names"], said["target"], said["n_rows"]) == (["no", "yes"], "ill", 3)


def test_csv_says_the_same_as_json(api: Api) -> None:
    address = f"/v1/jobs/{finished(api)}/predict"
    csv = "smoker,age,city\ntrue,30,Kiel\nfalse,NA,\nFalse,71.5,Rome\n"
    by_csv = api.client.post(address, content=csv, headers={"Content-Type": "text/csv"})
    assert by_csv.status_code == 200, by_csv.text
    assert by_csv.json() == api.client.post(address, json={"rows": ROWS}).json()


def _logistic(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def test_a_row_has_the_interval_of_its_probability(api: Api) -> None:
    body = {"rows": ROWS, "interval": 0.8}
    said = api.client.post(f"/v1/jobs/{finished(api, TOLD)}/predict", json=body).json()["interval"]
    assert said["std_errors"] == pytest.approx(STD_ERRORS, rel=1e-12)
    reach = 1.2815515655446004
    for name, sign in (("low", -1), ("high", 1)):
        ends = [_logistic(z + sign * reach * error) for z, error in zip(PREDICTORS, STD_ERRORS, strict=True)]
        assert said[name] == pytest.approx(ends, rel=1e-12)
    assert (said["confidence"], said["df"], said["observation_low"]) == (0.8, None, None)


def test_a_number_has_the_interval_of_a_new_observation_too(api: Api) -> None:
    uncertainty = TOLD["uncertainty"] | {"df": 3.0, "variance": 4.0}
    model = TOLD | {"classes": None, "threshold": None, "family": "log-linear", "uncertainty": uncertainty}
    body = {"rows": ROWS, "interval": 0.95}
    said = api.client.post(f"/v1/jobs/{finished(api, model)}/predict", json=body).json()["interval"]
    reach = 3.182446305284263
    expected = [math.exp(z + reach * (error**2 + 4) ** 0.5) for z, error in zip(PREDICTORS, STD_ERRORS, strict=True)]
    assert said["observation_high"] == pytest.approx(expected, rel=1e-9)
    assert said["high"] == pytest.approx(
        [math.exp(z + reach * error) for z, error in zip(PREDICTORS, STD_ERRORS, strict=True)], rel=1e-9
    )
    assert said["df"] == 3.0


def test_a_row_has_the_contributions_of_its_columns(api: Api) -> None:
    body = {"rows": ROWS, "contributions": True}
    said = api.client.post(f"/v1/jobs/{finished(api, TOLD)}/predict", json=body).json()["contributions"]
    assert said["terms"] == ["age", "smoker", "city", "age:city"]
    for found, expected in zip(said["rows"], CONTRIBUTIONS, strict=False):
        assert found[0] == pytest.approx(expected, rel=1e-12)
    sums = [said["base"][0] + sum(row[0]) for row in said["rows"]]
    assert sums == pytest.approx(PREDICTORS, rel=1e-12)


def test_a_csv_asks_in_the_address_for_what_json_asks_for(api: Api) -> None:
    address = f"/v1/jobs/{finished(api, TOLD)}/predict"
    csv, headers = "smoker,age,city\ntrue,30,Kiel\nfalse,NA,\nFalse,71.5,Rome\n", {"Content-Type": "text/csv"}
    asked = {"interval": 0.95, "contributions": True}
    by_json = api.client.post(address, json={"rows": ROWS} | asked).json()
    by_csv = api.client.post(address, params=asked, content=csv, headers=headers).json()
    assert by_csv == by_json == api.client.post(address, params=asked, json={"rows": ROWS}).json()
    assert by_json["interval"] is not None is not by_json["contributions"]
    plain = api.client.post(address, json={"rows": ROWS}).json()
    assert plain == by_json | {"interval": None, "contributions": None}
    over = api.client.post(address, params=asked, json={"rows": ROWS, "interval": None, "contributions": False})
    assert over.json() == plain, "the body counts before the address"


@pytest.mark.parametrize(
    ("field", "value"),
    [("interval", 1), ("interval", 0), ("interval", True), ("interval", "0.9"), ("contributions", 1)],
)
def test_what_cannot_be_asked_for_is_refused_by_name(api: Api, field: str, value: Any) -> None:
    answer = api.client.post(f"/v1/jobs/{finished(api, TOLD)}/predict", json={"rows": ROWS, field: value})
    assert answer.status_code == 422
    assert [(e["field"], e["value"]) for e in answer.json()["errors"]] == [(field, value)]


@pytest.mark.parametrize("query", [{"interval": "1.5"}, {"interval": "nan"}, {"contributions": "some"}, {"more": "1"}])
def test_what_cannot_be_asked_for_in_the_address_is_refused_by_name(api: Api, query: dict[str, str]) -> None:
    address, headers = f"/v1/jobs/{finished(api, TOLD)}/predict", {"Content-Type": "text/csv"}
    answer = api.client.post(address, params=query, content="age,smoker,city\n1,true,Ulm\n", headers=headers)
    assert answer.status_code == 422
    assert [e["field"] for e in answer.json()["errors"]] == [*query]


def test_a_model_that_cannot_tell_them_says_why(api: Api) -> None:
    def refusals(model: dict[str, Any], asked: dict[str, Any]) -> list[tuple[str, str]]:
        answer = api.client.post(f"/v1/jobs/{finished(api, model)}/predict", json={"rows": ROWS} | asked)
        assert answer.status_code == 422
        return [(e["field"], e["reason"]) for e in answer.json()["errors"]]

    assert refusals(MODEL | {"uncertainty": {"withheld": "because"}}, {"interval": 0.5}) == [("interval", "because")]
    ((field, reason),) = refusals(MODEL, {"interval": 0.5})
    assert (field, "stored before" in reason) == ("interval", True)
    ((field, reason),) = refusals(MODEL, {"contributions": True})
    assert (field, "stored before" in reason) == ("contributions", True)
    ((field, reason),) = refusals(MODEL | {"means": None}, {"contributions": True})
    assert (field, "preprocess.standardize" in reason) == ("contributions", True)


def test_more_contributions_than_an_answer_holds_are_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_CONTRIBUTIONS", 11)
    address = f"/v1/jobs/{finished(api, TOLD)}/predict"
    assert api.client.post(address, json={"rows": ROWS[:2], "contributions": True}).status_code == 200
    answer = api.client.post(address, json={"rows": ROWS, "contributions": True})
    assert (answer.status_code, answer.json()["detail"][:16]) == (413, "12 contributions")


def test_what_overflows_is_null(api: Api) -> None:
    model = TOLD | {"classes": None, "threshold": None, "family": "poisson"}
    row = {"age": 1e6, "smoker": True, "city": "Kiel"}
    said = api.client.post(f"/v1/jobs/{finished(api, model)}/predict", json={"rows": [row], "interval": 0.5}).json()
    assert (said["values"], said["interval"]["high"]) == ([None], [None])


def test_digits_in_a_csv_are_levels_where_the_model_has_levels(api: Api) -> None:
    text = {"column": "city", "type": "text", "levels": ["1", "2"], "missing": None, "unseen": None}
    feature = {"name": "city=2", "factors": [{"column": "city", "level": "2"}], "coefficients": [5.0]}
    address = f"/v1/jobs/{finished(api, MODEL | {'inputs': [text], 'features': [feature]})}/predict"
    answer = api.client.post(address, content="city\n2\n1\n", headers={"Content-Type": "text/csv"})
    assert answer.json()["classes"] == ["yes", "no"]
    refused = api.client.post(address, content="city\n2\n3\n", headers={"Content-Type": "text/csv"})
    assert [(e["field"], e["value"]) for e in refused.json()["errors"]] == [("rows[1].city", "3")]


@pytest.mark.parametrize(
    ("row", "field", "value", "reason"),
    [
        ({"age": 1, "smoker": True}, "rows[0].city", None, "needs this column"),
        ({"age": 1, "smoker": True, "city": "Ulm", "agee": 2}, "rows[0].agee", 2, "age, smoker, city"),
        ({"age": 1, "smoker": True, "city": "Ulm", "ill": "no"}, "rows[0].ill", "no", "predicts; leave it out"),
        ({"age": "1", "smoker": True, "city": "Ulm"}, "rows[0].age", "1", "must be a number"),
        ({"age": True, "smoker": True, "city": "Ulm"}, "rows[0].age", True, "must be a number"),
        ({"age": 1, "smoker": 1, "city": "Ulm"}, "rows[0].smoker", 1, "true or false"),
        ({"age": 1, "smoker": None, "city": "Ulm"}, "rows[0].smoker", None, "is missing"),
        ({"age": 1, "smoker": True, "city": 5}, "rows[0].city", 5, "must be text"),
        ([1, True, "Ulm"], "rows[0]", [1, True, "Ulm"], "must be an object"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_name(api: Api, row: Any, field: str, value: Any, reason: str) -> None:
    answer = api.client.post(f"/v1/jobs/{finished(api)}/predict", json={"rows": [row]})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert (fault["field"], fault["value"]) == (field, value)
    assert reason in fault["reason"]


def test_numbers_past_the_range_of_floats_are_refused(api: Api) -> None:
    body = '{"rows": [{"age": 1e999, "smoker": true, "city": "Ulm"}, {"age": 1%s, "smoker": true, "city": "Ulm"}]}'
    headers = {"Content-Type": "application/json"}
    answer = api.client.post(f"/v1/jobs/{finished(api)}/predict", content=body % ("0" * 400), headers=headers)
    assert answer.status_code == 422
    assert [e["field"] for e in answer.json()["errors"]] == ["rows[0].age", "rows[1].age"]


@pytest.mark.parametrize(
    ("csv", "field", "reason"),
    [
        ("age,smoker\n1,true\n", "columns.city", "needs this column"),
        ("age,smoker,city,x\n1,true,Ulm,3\n", "columns.x", "no such column"),
        ("age,smoker,city\n1,true,Ulm\nold,true,Ulm\n", "rows[1].age", "must be a number"),
        ("age,smoker,city\n1,maybe,Ulm\n", "rows[0].smoker", "true or false"),
        ("age,smoker,city\n1,,Ulm\n", "rows[0].smoker", "is missing"),
        ("age,smoker,city\n", "file", "no rows"),
        ("age,smoker,city\n1,true\n", "rows[2]", "has 2 values"),
    ],
)
def test_a_csv_that_does_not_fit_is_refused_by_name(api: Api, csv: str, field: str, reason: str) -> None:
    address = f"/v1/jobs/{finished(api)}/predict"
    answer = api.client.post(address, content=csv, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["field"] == field
    assert reason in fault["reason"]


def test_a_body_that_is_no_list_of_rows_is_refused(api: Api) -> None:
    address = f"/v1/jobs/{finished(api)}/predict"
    for body in ([], {}, {"rows": {}}, {"rows": []}, {"rows": ROWS, "more": 1}):
        assert api.client.post(address, json=body).status_code == 422, body
    assert api.client.post(address, content="{", headers={"Content-Type": "application/json"}).status_code == 400
    assert api.client.post(address, content="x", headers={"Content-Type": "text/plain"}).status_code == 415


def test_more_rows_than_the_limit_are_refused(start_api: Any) -> None:
    api = start_api(predict_max_rows=2)
    answer = api.client.post(f"/v1/jobs/{finished(api)}/predict", json={"rows": ROWS})
    assert answer.status_code == 413
    assert "3 rows" in answer.json()["detail"]
    small = start_api(predict_max_bytes=10)
    assert small.client.post(f"/v1/jobs/{finished(small)}/predict", json={"rows": ROWS}).status_code == 413


def test_a_job_without_a_model_says_why(api: Api) -> None:
    def refusal(job_id: str) -> tuple[int, str]:
        answer = api.client.post(f"/v1/jobs/{job_id}/predict", json={"rows": ROWS})
        return answer.status_code, answer.json()["code"]

    assert refusal("0197a000-0000-7000-8000-000000000000") == (404, "not_found")
    assert refusal(finished(api, model=None)) == (409, "no_model")
    assert refusal(finished(api, model={"format": "something else"})) == (409, "no_model")
    program = api.submit(kind="autograd", spec={"program": "x = torch.ones(2)"})
    assert refusal(program["id"]) == (409, "no_model")
    api.client.post(f"/v1/jobs/{program['id']}/cancel")
    assert refusal(api.submit()["id"]) == (409, "not_succeeded")


def test_a_numeric_target_is_answered_with_values(api: Api) -> None:
    numeric = {"classes": None, "threshold": None}
    for family, expected in {"gaussian": PREDICTORS, "poisson": [math.exp(z) for z in PREDICTORS]}.items():
        job_id = finished(api, MODEL | numeric | {"family": family})
        said = api.client.post(f"/v1/jobs/{job_id}/predict", json={"rows": ROWS}).json()
        assert said["values"] == pytest.approx(expected)
        assert (said["classes"], said["probabilities"]) == (None, None)


def test_the_example_of_the_document_runs_when_sent(api: Api) -> None:
    job_id = finished(api, json.loads(json.dumps(MODEL)) | _notes_model())
    content = _BODY["requestBody"]["content"]
    example = content["application/json"]["examples"]["notes-logistic-regression"]["value"]
    by_json = api.client.post(f"/v1/jobs/{job_id}/predict", json=example)
    csv = content["text/csv"]["example"]
    by_csv = api.client.post(f"/v1/jobs/{job_id}/predict", content=csv, headers={"Content-Type": "text/csv"})
    assert by_json.status_code == 200, by_json.text
    assert by_json.json() == by_csv.json()


def test_the_model_file_is_read_once_for_many_requests(api: Api) -> None:
    job_id = finished(api)
    address = f"/v1/jobs/{job_id}/predict"
    assert api.client.post(address, json={"rows": ROWS}).status_code == 200
    artifact = api.services.jobs.find_artifact(UUID(job_id), "model.json")
    assert artifact is not None
    api.services.store.delete(artifact.sha256)
    assert api.client.post(address, json={"rows": ROWS}).status_code == 200


def test_a_prediction_job_names_what_does_not_fit(api: Api) -> None:
    model_id = finished(api)
    data = api.client.post("/v1/datasets", content=b"age,smoker,id\n1,true,7\n").json()["id"]
    spec = {"model_job_id": model_id, "data": {"dataset_id": data}, "keep": ["id", "idd"]}
    refused = api.client.post("/v1/jobs", json={"kind": "prediction", "spec": spec})
    assert refused.status_code == 422
    faults = {fault["field"]: fault["reason"] for fault in refused.json()["errors"]}
    assert "'city'" in faults["spec.data.dataset_id"]
    assert "'age', 'smoker', 'id'" in faults["spec.keep[1]"]
    queued = api.submit()["id"]
    refused = api.client.post("/v1/jobs", json={"kind": "prediction", "spec": spec | {"model_job_id": queued}})
    assert [fault["field"] for fault in refused.json()["errors"]] == ["spec.model_job_id"]


@pytest.mark.parametrize(("field", "value"), [("interval", 0.9), ("contributions", True)])
def test_a_prediction_job_names_what_its_model_cannot_tell(api: Api, field: str, value: Any) -> None:
    data = api.client.post("/v1/datasets", content=b"age,smoker,city\n1,true,Ulm\n").json()["id"]
    spec = {"data": {"dataset_id": data}, field: value}
    for model, status in ((MODEL, 422), (TOLD, 202)):
        body = {"kind": "prediction", "spec": spec | {"model_job_id": finished(api, model)}}
        answer = api.client.post("/v1/jobs", json=body)
        assert answer.status_code == status, answer.text
        if status == 422:
            assert [(e["field"], e["value"]) for e in answer.json()["errors"]] == [(f"spec.{field}", value)]


@pytest.mark.parametrize("source", [{}, {"source": "dataset"}])
def test_a_data_set_that_a_prediction_waits_for_is_not_deleted(api: Api, source: dict[str, str]) -> None:
    model_id = finished(api)
    data = api.client.post("/v1/datasets", content=b"age,smoker,city\n1,true,Ulm\n").json()["id"]
    spec = {"model_job_id": model_id, "data": {"dataset_id": data} | source}
    answer = api.client.post("/v1/jobs", json={"kind": "prediction", "spec": spec})
    assert answer.status_code == 202, answer.text
    assert api.client.delete(f"/v1/datasets/{data}").json()["code"] == "dataset_in_use"


def _notes_model() -> dict[str, Any]:
    return {
        "classes": [0, 1],
        "inputs": [{"column": name, "type": "number", "fill": None} for name in ("x1", "x2")],
        "features": [{"name": n, "factors": [{"column": n}], "coefficients": [-1.0]} for n in ("x1", "x2")],
    }
