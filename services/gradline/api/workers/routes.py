"""`/v1/workers` and `/v1/lanes`."""

from fastapi import APIRouter

from gradline.api.deps import OwnerDep, ServicesDep
from gradline.api.errors import problem_responses
from gradline.api.workers import service
from gradline.api.workers.schemas import LaneList, WorkerList

router = APIRouter(prefix="/v1", tags=["workers"], responses=problem_responses(401, 403, 503))


@router.get("/workers", operation_id="listWorkers", summary="Who is alive, on which device, doing what")
def list_workers(services: ServicesDep, owner: OwnerDep) -> WorkerList:
    return service.list_workers(services, owner)


@router.get("/lanes", operation_id="listLanes", summary="What waits and runs in each lane")
def list_lanes(services: ServicesDep, _: OwnerDep) -> LaneList:
    return service.list_lanes(services)
