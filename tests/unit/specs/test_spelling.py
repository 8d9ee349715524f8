"""What a text must look like is said in words; the pattern is for the API's description."""

import pytest
from pydantic import BaseModel, ValidationError

from gradline.api.jobs.schemas import JobFilter, JobRequest
from gradline.errors import InvalidInput
from gradline.specs import parse_spec
from gradline.specs.base import Id

ID = "01234567-89ab-cdef-0123-456789abcdef"


class Named(BaseModel):
    id: Id


@pytest.mark.parametrize("text", ["my data", ID.upper(), f"{ID}\n", f" {ID}"])
def test_an_id_that_is_none_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_spec("logistic-regression", {"data": {"source": "dataset", "dataset_id": text, "target": "y"}})
    (fault,) = refused.value.faults
    assert (fault.field, fault.value) == ("spec.data.dataset_id", text)
    assert fault.reason.startswith("must be an id as the API gives it")


def test_an_id_has_its_pattern_in_the_schema_of_what_takes_it() -> None:
    assert Named.model_json_schema()["properties"]["id"]["pattern"].startswith("^[0-9a-f]{8}-")
    assert Named(id=ID).id == ID


def test_a_label_that_is_none_is_refused_in_words() -> None:
    with pytest.raises(ValidationError, match="a label's key must be at most 63 letters, digits") as refused:
        JobRequest.model_validate({"kind": "autograd", "spec": {}, "labels": {"odd key!": "x"}})
    assert "A-Za-z" not in str(refused.value)
    with pytest.raises(ValidationError, match="must be key:value, the key at most 63"):
        JobFilter.model_validate({"label": "course"})
