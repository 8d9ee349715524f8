"""Errors in the use of torch around autograd: flags of results, losses of the wrong numbers, own backwards."""

import re

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


def number_of_gradients(case: Case) -> Diagnosis:
    """An own backward that returns too few or too many gradients."""
    text = (
        "`backward` returns one gradient for each argument of `forward` after `ctx`, in the same order, and None for"
        " an argument that needs none."
    )
    found = re.search(r"function (\w+)Backward .*expected (\d+), got (\d+)", str(case.error))
    methods = _methods_of(case, found[1]) if found else {}
    if found is None or "forward" not in methods or "backward" not in methods:
        return Diagnosis(text)
    n_wanted, n_given = int(found[2]), int(found[3])
    takes = [name for name in methods["forward"].parameters.names if name != "ctx"]
    named = f" `{found[1]}.forward` takes {', '.join(f'`{name}`' for name in takes)}."
    returns = [n for n in walk(methods["backward"].body) if isinstance(n, s.Return) and n.value is not None]
    mends = []
    for one in returns:
        named += f" {case.text(one.span.line)} on line {one.span.line} gives {n_given}, for {n_wanted}."
        mends += _as_many(case, one, n_wanted, takes[n_given:n_wanted])
    return Diagnosis(text + named, mends)


def _methods_of(case: Case, name: str) -> dict[str, s.Define]:
    classes = [n for n in walk(case.program.body) if isinstance(n, s.DefineClass) and n.name == name]
    return {part.name: part for one in classes for part in one.body if isinstance(part, s.Define)}


def _as_many(case: Case, one: s.Return, n_wanted: int, missing: list[str]) -> list[Mend]:
    """The gradients that are returned, filled up with None or cut."""
    value = one.value
    items = value.items if isinstance(value, s.Sequence) else (value,)
    texts = [case.source(item) for item in items if item is not None]
    if len(texts) < n_wanted:
        names = " and ".join(f"`{name}`" for name in missing)
        why = f"None for {names}, as for whatever needs no gradient; if it needs one, that stands there"
        return [Mend(one.span, "return " + ", ".join(texts + ["None"] * (n_wanted - len(texts))), why)]
    return [Mend(one.span, "return " + ", ".join(texts[:n_wanted]), "one gradient for each argument")]


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
