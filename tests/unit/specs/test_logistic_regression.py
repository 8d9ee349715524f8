"""What the spec of a regression refuses, and that each refusal names the field as the caller spells it."""

from typing import Any

import pytest

from gradline.errors import InvalidInput
from gradline.specs import parse_spec
from gradline.specs.logistic_regression import LogisticRegressionSpec

UPLOAD = {"source": "dataset", "dataset_id": "00000000-0000-0000-0000-000000000000", "target": "y"}
IRIS = {"source": "builtin", "name": "iris"}
DIABETES = {"source": "builtin", "name": "diabetes"}


def parsed(**spec: Any) -> LogisticRegressionSpec:
    found = parse_spec("logistic-regression", spec)
    assert isinstance(found, LogisticRegressionSpec)
    return found


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ({"evaluation": {"threshold": "high"}}, "spec.evaluation.threshold", "a valid number"),
        ({"evaluation": {"threshold": {"metric": "recall"}}}, "spec.evaluation.threshold.at_least", "recall needs"),
        (
            {"evaluation": {"threshold": {"metric": "f1", "at_least": 0.5}}},
            "spec.evaluation.threshold.at_least",
            "leave out",
        ),
        ({"model": {"class_weights": {"yes": -1.0}}}, "spec.model.class_weights.yes", "greater than 0"),
        ({"model": {"class_weights": "even"}}, "spec.model.class_weights", "'balanced'"),
        (
            {"solver": {"name": "sgd", "learning_rate": 1e300}},
            "spec.solver.learning_rate",
            "less than or equal to 1000000000000000000000000000000",
        ),
        ({"solver": {"name": "adam", "schedule": {"name": "step"}}}, "spec.solver.schedule.every", "required"),
        ({"data": UPLOAD | {"types": {"y": "numeric"}}}, "spec.data.types.y", "'y' is none"),
        ({"data": UPLOAD | {"offset": "y"}}, "spec.data.offset", "`offset` and `target` are both 'y'"),
        ({"data": UPLOAD | {"features": ["b", "a"], "group": "a"}}, "spec.data.features[1]", "is the group already"),
        ({"data": UPLOAD | {"features": ["b", "a", "b"]}}, "spec.data.features[2]", "is features[0] already"),
        ({"preprocess": {"interactions": [["a", "b"], ["b", "a"]]}}, "spec.preprocess.interactions[1]", "twice"),
        ({"preprocess": {"interactions": [["a", "a"]]}}, "spec.preprocess.interactions[0]", "with itself"),
        ({"model": {"family": "poisson", "class_weights": "balanced"}}, "spec.model.class_weights", "has none"),
        ({"solver": {"name": "sgd", "nesterov": True}}, "spec.solver.nesterov", "momentum above 0"),
        ({"preprocess": {"interactions": [["a"]]}}, "spec.preprocess.interactions[0]", "at least 2 items"),
        ({"model": {"bounds": {"a": {}}}}, "spec.model.bounds.a.at_least", "bounds nothing"),
        ({"model": {"bounds": {}}}, "spec.model.bounds", "at least 1 item"),
        (
            {"model": {"bounds": {"a": {"at_least": 1.0, "at_most": 0.5}}}},
            "spec.model.bounds.a.at_least",
            "nothing is at least 1 and at most 0.5",
        ),
        (
            {"model": {"non_negative": True, "bounds": {"a": {"at_most": -1.0}}}},
            "spec.model.bounds.a.at_most",
            "`non_negative` leaves nothing at most -1",
        ),
        ({"solver": "lbfgs"}, "spec.solver", "must be an object"),
        ({"stop": ["max_steps"]}, "spec.stop", "must be an object"),
        ({"penalty": {"l1": 1.0, "path": {}}}, "spec.penalty.l1", "`path` chooses the penalty"),
        ({"report": {"register_as": "team/churn"}}, "spec.report.register_as", "letters, digits, blanks and _ . -"),
        ({"report": {"register_as": "churn.."}}, "spec.report.register_as", "ending with no dot or blank"),
    ],
)
def test_a_refused_field_is_named_as_the_caller_spells_it(spec: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parsed(**spec)
    assert [fault.field for fault in refused.value.faults] == [field]
    assert reason in refused.value.faults[0].reason


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ({"data": DIABETES}, "model.family", "name gaussian, log-linear or poisson"),
        ({"model": {"family": "poisson"}}, "model.family", "the target of this data set is a class"),
        (
            {"data": DIABETES, "model": {"family": "gaussian"}, "stop": {"accuracy_above": 0.9}},
            "stop.accuracy_above",
            "stop.accuracy_above",
        ),
        (
            {"data": DIABETES, "model": {"family": "gaussian"}, "on_separation": "ridge"},
            "on_separation",
            "on_separation ridge",
        ),
        ({"data": UPLOAD | {"offset": "o"}, "model": {"family": "multinomial"}}, "data.offset", "data.offset"),
        ({"data": UPLOAD | {"fold": "f"}, "split": {"folds": 3}}, "split.folds", "leave out split.folds"),
        ({"data": UPLOAD | {"fold": "f", "group": "g"}}, "data.group", "leave out data.group"),
        ({"penalty": {"path": {}}, "solver": {"name": "newton"}}, "solver.name", "newton needs a smooth objective"),
        ({"penalty": {"path": {}}, "solver": {"name": "sgd"}}, "solver.name", "which sgd does not"),
        (
            {"penalty": {"l1": 0.1}, "solver": {"name": "newton-cg"}},
            "solver.name",
            "newton-cg needs a smooth objective",
        ),
        ({"data": IRIS, "model": {"family": "binomial"}}, "model.family", "has 3 classes"),
        ({"data": IRIS, "evaluation": {"threshold": 0.3}}, "evaluation.threshold", "between two classes"),
        (
            {"data": {"source": "blobs", "samples_per_class": 2}, "penalty": {"path": {}}},
            "split.folds",
            "5 folds of 4 rows",
        ),
        ({"model": {"non_negative": True}, "solver": {"name": "newton"}}, "solver.name", "newton knows no bounds"),
        (
            {"model": {"bounds": {"a": {"at_most": 1}}}, "solver": {"name": "sgd"}},
            "solver.name",
            "model.bounds: sgd knows no bounds; use solver auto, proximal-newton or fista",
        ),
        ({"model": {"non_negative": True}, "on_separation": "firth"}, "on_separation", "firth fits without bounds"),
        ({"model": {"non_negative": True}, "inference": {"bootstrap": 9}}, "inference.bootstrap", "without bounds"),
        (
            {"data": IRIS, "model": {"non_negative": True, "family": "multinomial"}},
            "model.family",
            "only differences between classes",
        ),
        ({"penalty": {"l2": 0.1}, "on_separation": "firth"}, "on_separation", "firth is a penalty of its own"),
    ],
)
def test_parts_that_contradict_each_other_are_refused_by_field(spec: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as refused:
        parsed(**spec)
    assert [fault.field for fault in refused.value.faults] == [f"spec.{field}"]


def test_a_ridge_path_may_use_a_solver_for_smooth_objectives() -> None:
    assert parsed(penalty={"path": {"l1_ratio": 0}}, solver={"name": "newton"}).n_folds == 5


def test_the_number_of_folds_is_left_to_the_column_that_names_them() -> None:
    assert parsed(data=UPLOAD | {"fold": "f"}, penalty={"path": {}}).n_folds is None
    assert parsed(split={"folds": 3}).n_folds == 3
    assert parsed().n_folds is None
