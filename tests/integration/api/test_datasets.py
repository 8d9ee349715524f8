"""Uploading tables and training on them."""

import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from gradline.db.datasets import NewDataset
from tests.integration.api.checks import fields, problem
from tests.integration.api.conftest import BODY, Api, StartApi
from tests.waiting import wait_until

ODD = (
    '\ufeff"name, full";height ;smoker;ill\r\n'
    '"O\'Hara; Ann";1.71;yes;0\r\n'
    '"said ""hi""\nand left";;no;1\r\n'
    "\r\n"
    "Bob;NA;;0\r\n"
    "Éva;1.9;yes;1\r\n"
).encode()
PLAIN = b"a,b,y\n1,2,0\n3,4,1\n5,6,0\n7,9,1\n"


def upload(api: Api, data: Any = PLAIN, **query: str) -> dict[str, Any]:
    answer = api.client.post("/v1/datasets", params=query, content=data)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/datasets/{answer.json()['id']}"
    found: dict[str, Any] = answer.json()
    return found


def submit_on(api: Api, dataset_id: str, **data: Any) -> Any:
    spec = {"data": {"source": "dataset", "dataset_id": dataset_id} | data}
    return api.client.post("/v1/jobs", json=BODY | {"spec": spec})


def test_an_odd_csv_is_read_and_described(api_on_each: Api) -> None:
    dataset = upload(api_on_each, ODD, name="odd")
    assert (dataset["name"], dataset["n_rows"], dataset["size_bytes"]) == ("odd", 4, len(ODD))
    columns = {c["name"]: (c["type"], c["n_missing"], c["n_distinct"]) for c in dataset["columns"]}
    assert columns == {
        "name, full": ("text", 0, 4),
        "height": ("number", 2, 2),
        "smoker": ("text", 1, 2),
        "ill": ("integer", 0, 2),
    }
    assert (dataset["columns"][1]["min"], dataset["columns"][1]["max"]) == (1.71, 1.9)
    assert dataset["columns"][2]["levels"] == ["no", "yes"]
    assert api_on_each.client.get(f"/v1/datasets/{dataset['id']}").json() == dataset


def test_a_large_parquet_file_is_kept_unpacked_and_none_that_is_refused(api: Api, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random(800_000)
    for column, n_kept in (("\n", 0), ("x", 1)):
        file = io.BytesIO()
        pyarrow.parquet.write_table(pa.table({column.strip(): noise}), file)
        answer = api.client.post("/v1/datasets", params={"format": "parquet"}, content=file.getvalue())
        assert answer.status_code == (201 if n_kept else 422)
        wait_until(lambda: not list(tmp_path.rglob("incoming/*")))
        assert len(list(tmp_path.rglob("*.arrow"))) == n_kept


def test_parquet_is_read_as_it_is_typed(api: Api) -> None:
    table = pa.table({"x": [1.5, None, float("nan")], "flag": [True, False, True], "k": ["a", "b", None]})
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    dataset = upload(api, file.getvalue(), format="parquet")
    assert [(c["name"], c["type"], c["n_missing"]) for c in dataset["columns"]] == [
        ("x", "number", 2),
        ("flag", "boolean", 0),
        ("k", "text", 1),
    ]


def test_the_same_bytes_again_are_the_same_data_set(api_on_each: Api) -> None:
    first = upload(api_on_each, name="one")
    again = api_on_each.client.post("/v1/datasets", params={"name": "two"}, content=PLAIN)
    assert (again.status_code, again.json()) == (200, first)
    assert len(api_on_each.client.get("/v1/datasets").json()["items"]) == 1


def test_pages_of_data_sets_go_newest_first(api: Api) -> None:
    ids = [upload(api, PLAIN + f"{i},1,1\n".encode())["id"] for i in range(3)]
    page = api.client.get("/v1/datasets", params={"limit": 2}).json()
    rest = api.client.get("/v1/datasets", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [d["id"] for d in page["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None


def test_an_upload_over_the_limit_is_refused_and_leaves_nothing(start_api: StartApi, tmp_path: Path) -> None:
    api = start_api(upload_max_bytes=3_000_000)
    block = b"1,2,0\n" * 100_000
    declared = api.client.post("/v1/datasets", content=block * 6)
    assert "3000000" in problem(declared, 413, "too_large")["detail"]
    chunked = api.client.post("/v1/datasets", content=iter([block] * 6))
    assert "GRADLINE_UPLOAD_MAX_BYTES" in problem(chunked, 413, "too_large")["detail"]
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
    assert api.client.get("/v1/datasets").json()["items"] == []


def test_an_upload_of_several_blocks_arrives_whole(api: Api) -> None:
    rows = b"".join(b"%d,%d,%d\n" % (i, i * i, i % 2) for i in range(200_000))
    dataset = upload(api, iter([b"a,b,y\n", rows[:1_000_003], rows[1_000_003:]]))
    assert (dataset["n_rows"], dataset["size_bytes"]) == (200_000, len(rows) + 6)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", "file"),
        (b"a,b\n", "file"),
        (b"a,a\n1,2\n", "columns[1]"),
        (b"a,b\n1,2,3\n", "rows[2]"),
        (b"a,b\n\xff,2\n", None),
        (b'a,b\n"1,2\n', None),
    ],
    ids=["empty", "no rows", "name twice", "ragged", "no utf-8", "open quote"],
)
def test_a_file_that_is_no_table_is_refused_with_the_place(api: Api, data: bytes, field: str | None) -> None:
    found = fields(api.client.post("/v1/datasets", content=data))
    assert field is None or list(found) == [field]
    assert api.client.get("/v1/datasets").json()["items"] == []


def test_a_form_is_refused_with_the_mend(api: Api) -> None:
    said = problem(api.client.post("/v1/datasets", files={"file": ("a.csv", PLAIN)}), 415, "unsupported_media_type")
    assert "--data-binary" in said["detail"]
    assert api.client.get("/v1/datasets").json()["items"] == []


@pytest.mark.parametrize("query", [{"format": "xlsx"}, {"name": ""}, {"colour": "red"}])
def test_a_bad_or_unknown_parameter_is_named(api: Api, query: dict[str, str]) -> None:
    answer = api.client.post("/v1/datasets", params=query, content=PLAIN)
    assert list(fields(answer)) == list(query)


def test_a_spec_with_columns_that_are_there_is_taken(api: Api) -> None:
    dataset = upload(api)
    assert submit_on(api, dataset["id"], target="y", features=["a"]).status_code == 202


@pytest.mark.parametrize(
    ("data", "field"),
    [({"target": "z"}, "spec.data.target"), ({"target": "y", "features": ["a", "c"]}, "spec.data.features[1]")],
)
def test_an_unknown_column_is_refused_at_submit_with_the_columns_listed(
    api: Api, data: dict[str, Any], field: str
) -> None:
    answer = submit_on(api, upload(api)["id"], **data)
    assert field in fields(answer)
    reason = next(fault["reason"] for fault in answer.json()["errors"] if fault["field"] == field)
    assert reason == "no such column; the columns are: 'a', 'b', 'y'"
    assert api.client.get("/v1/jobs").json()["items"] == []


NEGATIVE = PLAIN + b"-1,code,0\n"


@pytest.mark.parametrize(
    ("spec", "refused", "reason"),
    [
        (
            {"data": {"target": "a"}, "model": {"family": "poisson"}},
            {"spec.data.target": "a"},
            "is -1 at its lowest, in data row 5;",
        ),
        ({"data": {"target": "y"}, "split": {"folds": 6}}, {"spec.split.folds": 6}, "6 folds of 5 rows"),
        (
            {"data": {"target": "y", "types": {"b": "numeric"}}},
            {"spec.data.types.b": "numeric"},
            "holds 'code', which is no number",
        ),
        ({"data": {"target": "y", "group": "y"}}, {"spec.data.group": "y"}, "a column has one role"),
    ],
)
def test_what_the_stored_profile_shows_to_fail_is_refused_at_submit(
    api: Api, spec: dict[str, Any], refused: dict[str, Any], reason: str
) -> None:
    data = {"source": "dataset", "dataset_id": upload(api, NEGATIVE)["id"]} | spec["data"]
    answer = api.client.post("/v1/jobs", json=BODY | {"spec": spec | {"data": data}})
    assert fields(answer) == refused
    assert reason in answer.json()["errors"][0]["reason"]
    assert api.client.get("/v1/jobs").json()["items"] == []


def test_a_data_set_that_is_not_there_or_not_yours_is_refused_at_submit(api: Api) -> None:
    other, _ = api.services.datasets.add(NewDataset("ada", "n", "csv", "0" * 64, 1, 1, []))
    for dataset_id in (str(uuid4()), str(other.id)):
        assert fields(submit_on(api, dataset_id, target="y")) == {"spec.data.dataset_id": dataset_id}
        problem(api.client.get(f"/v1/datasets/{dataset_id}"), 404, "not_found")
        problem(api.client.delete(f"/v1/datasets/{dataset_id}"), 404, "not_found")


def test_a_data_set_is_deleted_only_once_no_job_needs_it(api_on_each: Api) -> None:
    dataset_id = upload(api_on_each)["id"]
    job = submit_on(api_on_each, dataset_id, target="y").json()
    answer = api_on_each.client.delete(f"/v1/datasets/{dataset_id}")
    assert job["id"] in problem(answer, 409, "dataset_in_use")["detail"]
    api_on_each.client.post(f"/v1/jobs/{job['id']}/cancel")
    assert api_on_each.client.delete(f"/v1/datasets/{dataset_id}").status_code == 204
    problem(api_on_each.client.get(f"/v1/datasets/{dataset_id}"), 404, "not_found")
    again = api_on_each.client.post(f"/v1/jobs/{job['id']}/resubmit")
    assert fields(again) == {"spec.data.dataset_id": dataset_id}
