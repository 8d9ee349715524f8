"""`/v1/jobs/{id}/predict`."""

from typing import Annotated, Any
from uuid import UUID

import anyio
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gradline.api.bodies import media_type_of, read_bytes, wrong_media_type
from gradline.api.deps import OwnerDep, ServicesDep
from gradline.api.errors import problem_responses
from gradline.api.predictions import service
from gradline.api.predictions.schemas import PredictionQuery, PredictionView
from gradline.specs.prediction import PredictionOptions

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=problem_responses(401, 403, 422, 503))
_CELL = {"type": ["number", "string", "boolean", "null"]}
_ROWS = {
    "type": "object",
    "required": ["rows"],
    "additionalProperties": False,
    "properties": {
        "rows": {"type": "array", "minItems": 1, "items": {"type": "object", "additionalProperties": _CELL}},
        **PredictionOptions.model_json_schema()["properties"],
    },
}
_NOTES = {
    "summary": "For the model of the example notes-logistic-regression",
    "value": {"rows": [{"x1": 2.5, "x2": 3.1}, {"x1": -0.5, "x2": 0.2}]},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Rows with the columns that the model was trained on, by name; null where a value is missing. "
        "As CSV: with a header row, read by the rules of uploads.",
        "content": {
            "application/json": {"schema": _ROWS, "examples": {"notes-logistic-regression": _NOTES}},
            "text/csv": {"schema": {"type": "string"}, "example": "x1,x2\n2.5,3.1\n-0.5,0.2\n"},
        },
    }
}


@router.post(
    "/{job_id}/predict",
    operation_id="predict",
    summary="Predict rows with a job's model",
    response_model=PredictionView,
    openapi_extra=_BODY,
    responses=problem_responses(400, 404, 409, 413, 415),
)
async def predict(
    job_id: UUID,
    request: Request,
    services: ServicesDep,
    owner: OwnerDep,
    asked: Annotated[PredictionQuery, Query()],
) -> Response:
    """Answered at once by the API itself. Missing values and levels that training did not see are treated as the model
    learned to (`spec.preprocess`); a row that it cannot take is refused with its number, column and value.
    `interval` and `contributions` stand beside the rows in a body of JSON, or in the address, as for CSV."""
    media_type = media_type_of(request)
    if media_type not in ("application/json", service.CSV):
        raise wrong_media_type(request, "application/json or text/csv")
    body = await read_bytes(request, services.settings.predict_max_bytes, "GRADLINE_PREDICT_MAX_BYTES")
    answer = await anyio.to_thread.run_sync(service.predict, services, owner, job_id, body, media_type, asked)
    return Response(answer, media_type="application/json")
