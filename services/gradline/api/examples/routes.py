"""`/v1/examples`."""

from fastapi import APIRouter

from gradline.api.deps import OwnerDep
from gradline.api.errors import problem_responses
from gradline.api.examples import service
from gradline.api.examples.schemas import Example, ExampleList

router = APIRouter(prefix="/v1/examples", tags=["examples"], responses=problem_responses(401, 403, 422, 503))


@router.get("", operation_id="listExamples", summary="Job bodies that run as they are")
async def list_examples(_: OwnerDep) -> ExampleList:
    return ExampleList(items=list(service.list_examples()))


@router.get("/{name}", operation_id="getExample", summary="One example", responses=problem_responses(404))
async def get_example(name: str, _: OwnerDep) -> Example:
    return service.get_example(name)
