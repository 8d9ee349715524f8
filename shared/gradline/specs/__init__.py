"""What a job asks for: one frozen, strict model per kind; the API checks it, the worker runs it."""

import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from gradline.errors import InputFault, InvalidInput
from gradline.specs.autograd import AutogradSpec
from gradline.specs.base import Spec
from gradline.specs.logistic_regression import LogisticRegressionSpec

KINDS: dict[str, type[Spec]] = {
    "logistic-regression": LogisticRegressionSpec,
    "autograd": AutogradSpec,
}
"""Every kind of job and its spec. Adding a kind adds a line here, a runner in the worker, and tests."""


def parse_spec(kind: str, spec: Any) -> Spec:
    """The validated spec of a job; raises InvalidInput naming each bad field as `spec.…`."""
    if kind not in KINDS:
        raise InvalidInput([InputFault("kind", kind, f"no such kind; one of: {', '.join(sorted(KINDS))}")])
    try:
        return KINDS[kind].model_validate(spec)
    except ValidationError as error:
        raise InvalidInput(faults_of(error, prefix="spec")) from error


def faults_of(error: ValidationError, prefix: str = "") -> list[InputFault]:
    """A pydantic error as our faults, with dotted paths as the caller spells them."""
    return [
        InputFault(_path(prefix, e["loc"]), _shown(e), e["msg"].removeprefix("Value error, "))
        for e in error.errors(include_url=False)
    ]


def _path(prefix: str, loc: tuple[int | str, ...]) -> str:
    parts = [prefix] if prefix else []
    for part in loc:
        if isinstance(part, int):
            parts[-1:] = [f"{parts[-1] if parts else ''}[{part}]"]
        elif part not in _TAGS:
            parts.append(part)
    return ".".join(parts)


def _tags_of(kinds: Iterable[type[Spec]]) -> frozenset[str]:
    """Tags that pydantic puts into the path of a discriminated union, where a caller writes none."""
    schemas = json.dumps([kind.model_json_schema() for kind in kinds])
    return frozenset(re.findall(r'"const": "([^"]+)"', schemas))


_TAGS = _tags_of(KINDS.values())


def _shown(error: Any) -> Any:
    value = error.get("input")
    if error["type"] == "missing" or isinstance(value, dict | list):
        return None
    return value
