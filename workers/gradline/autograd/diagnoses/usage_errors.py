"""Errors in the use of torch around autograd: flags of results, losses of the wrong numbers, own backwards."""

from gradline.autograd.diagnoses.case import Case, Diagnosis
from gradline.autograd.diagnoses.mends import Mend, called, walk
from gradline.programs import statements as s

_WITH_LOGITS = {"BCELoss": "BCEWithLogitsLoss", "binary_cross_entropy": "binary_cross_entropy_with_logits"}


def flag_of_result(case: Case) -> Diagnosis:
    """`requires_grad` of a result cannot be changed."""
    text = (
        "Whether a result requires grad follows from what it was computed from; only a leaf's flag can be set. To go"
        " on without the graph, take the value out of it with `.detach()`."
    )
    target = case.statement.targets[0] if isinstance(case.statement, s.Assign) else None
    if not isinstance(target, s.Attribute):
        return Diagnosis(text)
    name = case.source(target.object)
    return Diagnosis(text, [Mend(case.statement.span, f"{name} = {name}.detach()", "the same value without the graph")])


def not_probabilities(case: Case) -> Diagnosis:
    """A binary cross-entropy of numbers that are no probabilities."""
    text = (
        "This loss takes probabilities, between 0 and 1, and was given raw scores. Put a sigmoid in front, or use the"
        " loss that has it inside, which is also the more exact one."
    )
    calls = [node for node in walk(case.program.body) if isinstance(node, s.Call) and called(node) in _WITH_LOGITS]
    mends = []
    for call in calls:
        function = case.source(call.function)
        head = function.removesuffix(called(call))
        why = "the sigmoid is part of this loss"
        mends.append(Mend(call.function.span, head + _WITH_LOGITS[called(call)], why))
    return Diagnosis(text, mends)


def number_of_gradients(_case: Case) -> Diagnosis:
    """An own backward that returns too few or too many gradients."""
    return Diagnosis(
        "`backward` returns one gradient for each argument of `forward` after `ctx`, in the same order, and None for"
        " an argument that needs none."
    )


def copy_of_result(case: Case) -> Diagnosis:
    """`copy.deepcopy` of a tensor with a history."""
    text = (
        "A deep copy of a result would have to copy its graph; torch copies leaves only. `.clone()` stays in the graph."
    )
    call = case.call
    if call is None or not call.arguments:
        return Diagnosis(text)
    value = case.source(call.arguments[0])
    clone = f"{value}.clone()" if isinstance(call.arguments[0], s.Name) else f"({value}).clone()"
    return Diagnosis(text, [Mend(call.span, clone, "a copy of the value that stays in the graph")])
