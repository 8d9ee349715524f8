"""Errors of shapes, types, devices and names."""

from difflib import get_close_matches

from torch import Tensor

from gradline.autograd.diagnoses.case import CREATORS, Case, Diagnosis, as_float, find_value, frames_of, lines_that_made
from gradline.autograd.diagnoses.mends import (
    Mend,
    called,
    calls_at,
    walk,
)
from gradline.autograd.diagnoses.training_errors import is_loss
from gradline.programs import statements as s


def whole_numbers(case: Case) -> Diagnosis:
    text = (
        "A gradient says how the result changes when a value changes a little; whole numbers and booleans cannot change"
        " a little, so torch computes gradients for floating-point (and complex) tensors only."
    )
    mends = []
    lines = [case.line]
    if (
        case.call is not None
        and isinstance(case.call.function, s.Attribute)
        and isinstance(case.call.function.object, s.Name)
    ):
        lines += lines_that_made(case, case.call.function.object.name)
    if isinstance(case.statement, s.Assign) and isinstance(case.statement.targets[0], s.Attribute):
        lines += lines_that_made(case, getattr(case.statement.targets[0].object, "name", ""))
    for line in lines:
        for call in calls_at(case.program, line, *CREATORS):
            mends += list(as_float(case, call))
    return Diagnosis(text, mends)


def shapes(case: Case) -> Diagnosis:
    text = f"The shapes do not fit: {shapes_of(case)}."
    spot = case.spot
    mends: list[Mend] = []
    if isinstance(spot, s.Binary):
        left, right = spot.left, spot.right
        pairs = [(left, spot.operator == "@"), (right, spot.operator == "@")]
    elif isinstance(spot, s.Call):
        pairs = [(a, called(spot) in ("matmul", "mm", "linear")) for a in spot.arguments[:2]]
        if isinstance(spot.function, s.Attribute):
            pairs.append((spot.function.object, called(spot) in ("matmul", "mm")))
    else:
        pairs = []
    is_product = any(product for _, product in pairs)
    if is_product:
        text += (
            " In a matrix product the columns of the left factor meet the rows of the right: their numbers must agree."
        )
    else:
        text += " Shapes are compared from the last dimension on; each pair must be equal, or one of them 1."
    for node, product in reversed(pairs):
        inner = case.source(node)
        inner = f"({inner})" if isinstance(node, s.Binary | s.Unary) else inner
        changes = (".T",) if product or not _differ_in_dimensions(case, pairs) else (".unsqueeze(1)", ".T")
        mends += [
            Mend(node.span, f"{inner}{change}", f"`{change[1:]}` brings the dimensions into the order needed")
            for change in changes
        ]
    return Diagnosis(text, mends)


def _differ_in_dimensions(case: Case, pairs: list[tuple[s.Expression, bool]]) -> bool:
    values = [find_value(case, node.name) for node, _ in pairs if isinstance(node, s.Name)]
    return len({value.dim() for value in values if isinstance(value, Tensor)}) > 1


def shapes_of(case: Case) -> str:
    """The tensors named at the spot with their shapes."""
    shapes = {}
    for node in walk(case.spot):
        if isinstance(node, s.Name):
            value = find_value(case, node.name)
            if isinstance(value, Tensor):
                shapes[node.name] = tuple(value.shape)
    listed = ", ".join(f"`{name}` has shape {shape}" for name, shape in shapes.items())
    return listed or str(case.error).splitlines()[0]


def device(case: Case) -> Diagnosis:
    text = (
        "This program computes on two devices at once, or on one that this worker does not have. All tensors of an"
        " operation must be on one device."
    )
    mends = []
    names = [n for n in walk(case.spot) if isinstance(n, s.Name) and isinstance(find_value(case, n.name), Tensor)]
    places = ", ".join(f"`{n.name}` is on {find_value(case, n.name).device}" for n in names)
    if places:
        text += f" Here {places}."
    for name in names[::-1]:
        other = next((o for o in names if find_value(case, o.name).device != find_value(case, name.name).device), None)
        if other is not None:
            mends += [Mend(name.span, f"{name.name}.to({other.name}.device)", "both are on one device")]
    for node in walk(case.statement):
        if isinstance(node, s.Call) and called(node) == "cuda" and isinstance(node.function, s.Attribute):
            mends.append(Mend(node.span, case.source(node.function.object), "the tensor stays where it is"))
    texts = [n for n in walk(case.program.body) if isinstance(n, s.Constant) and isinstance(n.value, str)]
    mends += [Mend(n.span, '"cpu"', "the processor is always there") for n in texts if str(n.value).startswith("cuda")]
    return Diagnosis(text, mends)


def numpy(case: Case) -> Diagnosis:
    text = "An array knows nothing of the graph; torch asks you to say that you leave it, with `.detach()`."
    call = case.call
    if call is None or not isinstance(call.function, s.Attribute):
        return Diagnosis(text)
    receiver = case.source(call.function.object)
    return Diagnosis(
        text, [Mend(call.function.object.span, f"{receiver}.detach()", "the values leave the graph on purpose")]
    )


def dtypes(case: Case) -> Diagnosis:
    text = f"The operation needs numbers of one type: {_dtypes_of(case)}."
    if case.call is not None and is_loss(case, case.call):
        text += (
            " The loss takes the numbers of classes as its target: whole numbers."
            if "Long" in str(case.error).partition("got")[0].partition("expected")[2]
            else " The loss takes its target in the type of the predictions: floating-point numbers."
        )
    named = [n for n in walk(case.spot) if isinstance(n, s.Name) and isinstance(find_value(case, n.name), Tensor)]
    made = [a for a in (case.call.arguments if case.call else ()) if isinstance(a, s.Call)]
    mends = []
    for node in [*named, *made]:
        mends += [
            Mend(node.span, f"{case.source(node)}.{method}()", f"`.{method}()` gives the type that is needed")
            for method in ("float", "double", "long")
        ]
    return Diagnosis(text, mends)


def _dtypes_of(case: Case) -> str:
    found = {n.name: find_value(case, n.name) for n in walk(case.spot) if isinstance(n, s.Name)}
    listed = [
        f"`{name}` is {str(t.dtype).removeprefix('torch.')}" for name, t in found.items() if isinstance(t, Tensor)
    ]
    return ", ".join(listed) or str(case.error).splitlines()[0]


def means_of_integers(case: Case) -> Diagnosis:
    text = "A mean of whole numbers is none; torch wants floating-point numbers here."
    call = case.call
    if call is None or not isinstance(call.function, s.Attribute):
        return Diagnosis(text)
    receiver = case.source(call.function.object)
    return Diagnosis(text, [Mend(call.function.object.span, f"{receiver}.float()", "as floating-point numbers")])


def ambiguous(case: Case) -> Diagnosis:
    text = (
        "A condition must be one yes or no; this tensor holds one for every element. `.any()` or `.all()` says which is"
        " meant."
    )
    node = case.statement.test if isinstance(case.statement, s.If | s.While) else None
    if node is None:
        return Diagnosis(text)
    return Diagnosis(text, [Mend(node.span, f"({case.source(node)}).all()", "true where it holds for every element")])


def one_number(case: Case) -> Diagnosis:
    text = (
        "Only a tensor with a single element can become a number; reduce it first, with `.sum()` or `.mean()`, or print"
        " it whole."
    )
    call = case.call
    if call is None or not isinstance(call.function, s.Attribute):
        return Diagnosis(text)
    receiver = case.source(call.function.object)
    return Diagnosis(text, [Mend(call.function.object.span, f"{receiver}.sum()", "one number: the sum")])


def undefined(case: Case) -> Diagnosis:
    name = str(case.error).split("'")[1]
    known = {key for frame in frames_of(case) for key in frame.names}
    meant = get_close_matches(name, known, n=1, cutoff=0.5)
    text = f"`{name}` has no value yet when line {case.line} runs"
    text += f"; did you mean `{meant[0]}`?" if meant else ": assign it on a line before."
    nodes = [n for n in walk(case.statement) if isinstance(n, s.Name) and n.name == name]
    return Diagnosis(text, [Mend(n.span, meant[0], "the name that has a value") for n in nodes if meant])
