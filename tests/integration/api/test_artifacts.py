"""Files of a job as downloads."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from gradline.api.jobs import files
from gradline.db.records import Artifact, Fence
from gradline.status import JobStatus
from tests.integration.api.checks import problem
from tests.integration.api.conftest import Api

BYTES = bytes(range(256)) * 10


def save(api: Api, name: str = "plots/loss curve.png", media_type: str = "image/png", data: bytes = BYTES) -> str:
    """The address of a file that a running job saved."""
    job_id = api.submit()["id"]
    _, fence = api.claim(job_id)
    stored = api.services.store.put(data)
    artifact = Artifact(name, "plot", media_type, stored.sha256, stored.size_bytes, 20)
    api.services.jobs.record(fence, artifacts=[artifact])
    item = api.client.get(f"/v1/jobs/{job_id}/artifacts").json()["items"][0]
    assert (item["name"], item["step"], item["size_bytes"]) == (name, 20, len(data))
    address: str = item["href"]
    return address


def test_a_download_has_the_bytes_the_type_and_a_validator(api: Api) -> None:
    answer = api.client.get(save(api))
    assert (answer.status_code, answer.content) == (200, BYTES)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(len(BYTES))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"].startswith('inline; filename="loss_curve.png"')
    assert "sandbox" in answer.headers["content-security-policy"]


def test_the_head_says_the_same_without_the_bytes(api: Api) -> None:
    address = save(api)
    head, whole = api.client.head(address), api.client.get(address)
    assert head.content == b""
    for name in ("content-length", "content-type", "etag", "content-disposition"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-9", 0, 9), ("bytes=10-", 10, 2559), ("bytes=-5", 2555, 2559), ("bytes=2550-9999", 2550, 2559)],
)
def test_a_range_gets_that_part(api: Api, asked: str, first: int, last: int) -> None:
    answer = api.client.get(save(api), headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, BYTES[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/2560"
    assert answer.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize("asked", ["bytes=2560-", "bytes=9999-10000", "bytes=-0"])
def test_a_range_past_the_end_is_refused_with_the_size(api: Api, asked: str) -> None:
    answer = api.client.get(save(api), headers={"Range": asked})
    problem(answer, 416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */2560"


@pytest.mark.parametrize("asked", ["bytes=5-1", "bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes=x-y"])
def test_a_range_that_is_none_of_ours_gets_the_whole_file(api: Api, asked: str) -> None:
    answer = api.client.get(save(api), headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, BYTES)


def test_a_range_of_a_file_that_has_changed_gets_the_whole_file(api: Api) -> None:
    address = save(api)
    etag = api.client.head(address).headers["etag"]
    fresh = api.client.get(address, headers={"Range": "bytes=0-9", "If-Range": etag})
    stale = api.client.get(address, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (fresh.status_code, stale.status_code) == (206, 200)


def test_a_file_that_the_reader_has_is_not_sent_again(api: Api) -> None:
    address = save(api)
    etag = api.client.head(address).headers["etag"]
    for condition in (etag, f'"x", W/{etag}', "*"):
        answer = api.client.get(address, headers={"If-None-Match": condition})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert api.client.get(address, headers={"If-None-Match": '"x"'}).status_code == 200


@pytest.mark.parametrize("media_type", ["text/html", "application/octet-stream", "application/vnd.apache.parquet"])
def test_what_a_browser_must_not_show_is_saved(api: Api, media_type: str) -> None:
    answer = api.client.get(save(api, "report.html", media_type))
    assert answer.headers["content-disposition"].startswith("attachment")


def test_an_empty_file_is_sent_as_one(api: Api) -> None:
    answer = api.client.get(save(api, data=b""))
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


def test_an_unknown_name_is_answered_with_the_names_there_are(api: Api) -> None:
    address = save(api, "loss.png")
    answer = api.client.get(address.replace("loss.png", "los.png"))
    assert "loss.png" in problem(answer, 404, "not_found")["detail"]


def test_a_file_missing_from_the_store_is_a_problem_and_no_broken_download(api: Api) -> None:
    address = save(api)
    sha256 = api.client.head(address).headers["etag"].strip('"')
    api.services.store.delete(sha256)
    problem(api.client.get(address), 503, "dependency_down")


@pytest.fixture
def drawing(api: Api) -> tuple[str, Fence]:
    """An ended job with a plot that somebody has begun to draw."""
    job_id = api.submit()["id"]
    _, fence = api.claim(job_id)
    api.services.jobs.finish(fence, JobStatus.SUCCEEDED, result={}, drawings=["loss.png"])
    claimed = api.services.drawings.claim()
    assert claimed is not None
    return job_id, claimed[1]


def test_a_download_waits_for_a_plot_that_is_being_drawn(api: Api, drawing: tuple[str, Fence]) -> None:
    job_id, fence = drawing
    assert api.client.get(f"/v1/jobs/{job_id}/artifacts").json() == {"items": [], "pending": ["loss.png"]}
    stored = api.services.store.put(BYTES)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(api.client.get, f"/v1/jobs/{job_id}/artifacts/loss.png")
        plot = Artifact("loss.png", "plot", "image/png", stored.sha256, stored.size_bytes)
        api.services.drawings.record(fence, [plot], is_last=True)
        assert asked.result(timeout=10).content == BYTES
    listed = api.client.get(f"/v1/jobs/{job_id}/artifacts").json()
    assert ([item["name"] for item in listed["items"]], listed["pending"]) == (["loss.png"], [])


def test_a_plot_that_stays_undrawn_is_a_problem_that_says_when_to_ask_again(
    api: Api, drawing: tuple[str, Fence], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PENDING_MAX_S", 0.2)
    answer = api.client.get(f"/v1/jobs/{drawing[0]}/artifacts/loss.png")
    problem(answer, 503, "artifact_pending")
    assert int(answer.headers["retry-after"]) > 0


def test_a_plot_that_cannot_be_drawn_ends_the_wait(api: Api, drawing: tuple[str, Fence]) -> None:
    job_id, fence = drawing
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(api.client.get, f"/v1/jobs/{job_id}/artifacts/loss.png")
        api.services.drawings.record(fence, [], is_last=True)
        problem(asked.result(timeout=10), 404, "not_found")


def test_a_large_file_is_read_in_pieces(api: Api) -> None:
    data = bytes(5_000_000)
    with api.client.stream("GET", save(api, "model.bin", "application/octet-stream", data)) as answer:
        blocks: Iterator[bytes] = answer.iter_raw()
        assert sum(len(block) for block in blocks) == len(data)


def test_readers_of_pending_plots_take_no_threads(api: Api, drawing: tuple[str, Fence]) -> None:
    job_id, fence = drawing
    n_readers = 60
    started = threading.Barrier(n_readers + 1)

    def read() -> int:
        started.wait()
        return api.client.get(f"/v1/jobs/{job_id}/artifacts/loss.png").status_code

    with ThreadPoolExecutor(n_readers) as pool:
        readers = [pool.submit(read) for _ in range(n_readers)]
        started.wait()
        assert api.client.get(f"/v1/jobs/{UUID(job_id)}").status_code == 200
        api.services.drawings.record(fence, [], is_last=True)
        assert {reader.result(timeout=20) for reader in readers} == {404}
