"""Whether the process lives, whether it can serve, and its metrics. None of these asks for a key."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from gradline.api.deps import ServicesDep
from gradline.api.errors import problem, problem_responses

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["alive"] = "alive"


class CheckView(BaseModel):
    """One dependency."""

    model_config = ConfigDict(extra="forbid")

    is_ok: bool
    detail: str
    is_fatal: bool
    """Without it no request can be served."""


class Ready(BaseModel):
    """The process can serve; what is not fatal may still be away."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["ready"] = "ready"
    checks: dict[str, CheckView]


@router.get("/livez", operation_id="livez", summary="Whether the process lives")
async def livez() -> Alive:
    return Alive()


@router.get(
    "/readyz", operation_id="readyz", summary="Whether requests can be served", responses=problem_responses(503)
)
def readyz(request: Request, services: ServicesDep) -> Ready:
    """503 while the database is away or its schema is not current. The broker and MLflow are shown, never fatal."""
    found = services.probes.checks()
    checks: dict[str, Any] = {name: check.as_dict() for name, check in found.items()}
    broken = [f"{name}: {check.detail}" for name, check in found.items() if check.is_fatal and not check.is_ok]
    if broken:
        headers = {"Retry-After": "2"}
        return problem(request, 503, "not_ready", "; ".join(broken), headers=headers, checks=checks)  # type: ignore[return-value]  # sent as it is
    return Ready(checks={name: CheckView(**check) for name, check in checks.items()})


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request) -> Response:
    return Response(request.app.state.metrics.render(), media_type=CONTENT_TYPE_LATEST)
