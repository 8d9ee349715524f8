"""What a job asks for: one frozen, strict model per kind; the API checks it, the worker runs it."""

from typing import Any

from pydantic import ValidationError

from gradline.errors import InputFault, InvalidInput
from gradline.specs.autograd import AutogradSpec
from gradline.specs.base import Misfit, Spec
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.specs.prediction import PredictionSpec

KINDS: dict[str, type[Spec]] = {
    "logistic-regression": LogisticRegressionSpec,
    "autograd": AutogradSpec,
    "prediction": PredictionSpec,
}
"""Every kind of job and its spec. Adding a kind adds a line here, a runner in the worker, and tests."""


def parse_spec(kind: str, spec: Any) -> Spec:
    """The validated spec of a job; raises InvalidInput naming each bad field as `spec.…`."""
    if kind not in KINDS:
        raise InvalidInput([InputFault("kind", kind, f"no such kind; one of: {', '.join(sorted(KINDS))}")])
    try:
        return KINDS[kind].model_validate(spec)
    except ValidationError as error:
        raise InvalidInput(faults_of(error, spec, prefix="spec")) from error


def faults_of(error: ValidationError, given: Any, prefix: str = "") -> list[InputFault]:
    """A pydantic error over what was given as our faults, with dotted paths as the caller spells them."""
    return [_fault(e, _path(prefix, e, given)) for e in error.errors(include_url=False)]


def _fault(error: Any, path: str) -> InputFault:
    """In the words of what was given: pydantic knows neither the body nor that a tag is a field."""
    tagged = error.get("ctx", {}).get("discriminator", "").strip("'")
    match error["type"]:
        case "union_tag_invalid":
            return InputFault(
                f"{path}.{tagged}", error["ctx"]["tag"], f"must be one of {error['ctx']['expected_tags']}"
            )
        case "union_tag_not_found":
            return InputFault(f"{path}.{tagged}", None, "Field required")
        case "extra_forbidden":
            return InputFault(path, _shown(error), "there is no such field")
        case "model_type" | "model_attributes_type" | "dict_type":
            return InputFault(path or "body", _shown(error), "must be an object: {field: value, …}")
        case "value_error" if isinstance(misfit := error["ctx"]["error"], Misfit):
            return InputFault(f"{path}.{misfit.field}", misfit.value, str(misfit))
        case _:
            return InputFault(path or "body", _shown(error), error["msg"].removeprefix("Value error, "))


def _path(prefix: str, error: Any, given: Any) -> str:
    """Pydantic's path without the branches of unions, which are no fields of what was given."""
    parts, loc = [prefix] if prefix else [], error["loc"]
    for depth, part in enumerate(loc, 1):
        if isinstance(part, int):
            parts[-1:] = [f"{parts[-1] if parts else ''}[{part}]"]
            given = given[part]
        elif isinstance(given, dict) and (part in given or (error["type"] == "missing" and depth == len(loc))):
            parts.append(part)
            given = given.get(part)
    return ".".join(parts)


def _shown(error: Any) -> Any:
    value = error.get("input")
    if error["type"] == "missing" or isinstance(value, dict | list):
        return None
    return value
