"""`/v1/datasets`."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gradline.api.datasets import service
from gradline.api.datasets.schemas import DatasetFilter, DatasetPage, DatasetView, UploadQuery
from gradline.api.deps import OwnerDep, ServicesDep
from gradline.api.errors import Refused, Responses, problem_responses

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=problem_responses(401, 403, 422, 503))
_KNOWN: Responses = {200: {"model": DatasetView, "description": "These bytes were here already, under this id"}}
_CSV = "height,weight,smoker,ill\n1.71,70.5,no,0\n1.82,,yes,1\n1.65,58.0,no,0\n1.90,95.2,yes,1\n"
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file itself, as it is",
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": _CSV},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post(
    "",
    operation_id="uploadDataset",
    summary="Upload a table",
    status_code=201,
    openapi_extra=_BODY,
    responses=problem_responses(413, 415, others=_KNOWN),
)
async def upload_dataset(
    request: Request,
    services: ServicesDep,
    owner: OwnerDep,
    response: Response,
    asked: Annotated[UploadQuery, Query()],
) -> DatasetView:
    """CSV with a header row, or Parquet. It is written to the store as it arrives, then read and described."""
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise Refused(
            415, "unsupported_media_type", "the body is a form: send the file itself (curl --data-binary @FILE)"
        )
    declared = request.headers.get("content-length", "")
    declared_bytes = int(declared) if declared.isdigit() else None
    dataset, is_new = await service.upload(services, owner, asked, request.stream(), declared_bytes)
    response.headers["Location"] = f"/v1/datasets/{dataset.id}"
    if not is_new:
        response.status_code = 200
    return dataset


@router.get("", operation_id="listDatasets", summary="List data sets, newest first")
def list_datasets(services: ServicesDep, owner: OwnerDep, asked: Annotated[DatasetFilter, Query()]) -> DatasetPage:
    return service.list_datasets(services, owner, asked)


@router.get(
    "/{dataset_id}", operation_id="getDataset", summary="A data set's description", responses=problem_responses(404)
)
def get_dataset(dataset_id: UUID, services: ServicesDep, owner: OwnerDep) -> DatasetView:
    return service.get(services, owner, dataset_id)


@router.delete(
    "/{dataset_id}",
    operation_id="deleteDataset",
    summary="Delete a data set",
    status_code=204,
    responses=problem_responses(404, 409),
)
def delete_dataset(dataset_id: UUID, services: ServicesDep, owner: OwnerDep) -> None:
    """Refused while a job that has not ended uses it."""
    service.delete(services, owner, dataset_id)
