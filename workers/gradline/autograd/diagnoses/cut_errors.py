"""Results without a graph: where the way from the leaves was cut, or which leaf does not require grad."""

from collections.abc import Iterator

from torch import Tensor

from gradline.autograd.diagnoses.case import CREATORS, Case, Diagnosis, as_float
from gradline.autograd.diagnoses.mends import (
    Mend,
    add_keyword,
    called,
    calls_at,
    statements_at,
    walk,
)
from gradline.autograd.record.events import Pass
from gradline.autograd.record.tape import Entry
from gradline.programs import statements as s


def no_graph(case: Case) -> Diagnosis:
    """Nothing that the result was computed from requires grad, or the way there was cut."""
    roots = case.failing_pass.backward.roots if case.failing_pass else []
    root = next((r for r in roots if not r.requires_grad), None)
    if root is None:
        return Diagnosis(
            "Nothing on the way from here to a leaf requires grad, so there is no graph to go backward through."
        )
    name = case.name(root)
    earlier = _gradient_before(case, root)
    if earlier is not None:
        text = (
            f"{name} is, or was computed from, a gradient that line {earlier.line} took without recording how: to"
            " autograd it is a constant. A gradient that is to be differentiated again is taken with"
            " `create_graph=True`."
        )
        calls = calls_at(case.program, earlier.line, "grad", "backward")
        why = "the gradient's own graph is kept"
        return Diagnosis(text, [add_keyword(case.program, call, "create_graph=True", why) for call in calls])
    cut = _cut_before(case, root)
    if cut is not None:
        how, line, tensor = cut
        text = (
            f"{name} has no graph: {case.text(line)} on line {line} took {case.name(tensor)} out of it ({how}), and"
            " what is computed from then on is a constant to autograd."
        )
        return Diagnosis(text, [*_uncut(case, line), *_uncopied(case, tensor)])
    text = (
        f"{name} was computed only from tensors that do not require grad, so no graph was built. Say at its creation"
        " which tensor the gradient is wanted for."
    )
    return Diagnosis(text, list(_require_grad(case, root)))


def plain_number(case: Case) -> Diagnosis | None:
    """A backward of a number of Python's, which was taken out of a tensor."""
    if not case.trace.cuts:
        return None
    how, tensor, line, _ = case.trace.cuts[-1]
    text = (
        f"This is a number of Python's, with no graph: {case.text(line)} on line {line} took it out of"
        f" {case.name(tensor)} ({how}). Sum and average the tensors themselves; take the number for printing only."
    )
    return Diagnosis(text, list(_uncut(case, line)))


def _gradient_before(case: Case, root: Tensor) -> Pass | None:
    """The backward pass, without a graph of its own, whose gradient the root is or was computed from."""
    entries = {id(t): entry for entry in case.trace.tape.entries for t in entry.outputs}
    passes = [one for one in case.trace.passes if one.is_done and not one.backward.creates_graph]
    given = {id(g if not one.backward.accumulates else t.grad): one for one in passes for t, g in one.gradients}
    stack, seen = [root], set()
    while stack:
        tensor = stack.pop()
        if id(tensor) in given:
            return given[id(tensor)]
        if id(tensor) not in seen and (entry := entries.get(id(tensor))) is not None:
            seen.add(id(tensor))
            stack.extend(entry.inputs())
    return None


def _cut_before(case: Case, root: Tensor) -> tuple[str, int, Tensor] | None:
    """How, where and which tensor the way from the leaves to the root was cut at."""
    entries = {id(t): entry for entry in case.trace.tape.entries for t in entry.outputs}
    stack, seen, made_from_nothing = [root], set(), []
    while stack:
        tensor = stack.pop()
        entry = entries.get(id(tensor))
        if id(tensor) in seen or entry is None:
            continue
        seen.add(id(tensor))
        inputs = list(entry.inputs())
        requiring = next((t for t in inputs if t.requires_grad), None)
        if requiring is not None:
            return _how_cut(case, entry), entry.line, requiring
        if not inputs:
            made_from_nothing.append(entry)
        stack.extend(inputs)
    lines = [entry.line for entry in made_from_nothing]
    for how, tensor, line, index in reversed(case.trace.cuts):
        if lines and line <= max(lines) and how != ".data" and index <= max(e.index for e in made_from_nothing) + 1:
            return how, line, tensor
    return None


def _how_cut(case: Case, entry: Entry) -> str:
    name = entry.operation.name
    if name in ("detach", ".data"):
        return f"`{name.lstrip('.')}`"
    if name in ("tensor", "as_tensor"):
        return "`torch.tensor` copies the number, not its history"
    if name in ("==", "!=", "<", "<=", ">", ">=", "argmax", "argmin", "eq", "lt", "gt", "ge", "le", "ne"):
        return f"`{name}` gives no real numbers, it has no derivative"
    if any(isinstance(n, s.With) and n.span.line <= entry.line <= n.span.end_line for n in walk(case.program.body)):
        return "computed under `torch.no_grad()`"
    return f"`{name}`"


def _uncut(case: Case, line: int) -> Iterator[Mend]:
    why = "the value stays in the graph"
    for node in [n for statement in statements_at(case.program, line) for n in walk(statement)]:
        if isinstance(node, s.Call) and called(node) in ("detach", "item", "numpy", "tolist", "clone"):
            if isinstance(node.function, s.Attribute):
                yield Mend(node.span, case.source(node.function.object), why)
        elif isinstance(node, s.Call) and called(node) in ("float", "int", "tensor", "as_tensor") and node.arguments:
            yield Mend(node.span, case.source(node.arguments[0]), why)
            yield Mend(node.span, f"torch.stack({case.source(node.arguments[0])})", why)
        elif isinstance(node, s.Attribute) and node.name == "data":
            yield Mend(node.span, case.source(node.object), why)
    for node in walk(case.program.body):
        if isinstance(node, s.With) and node.span.line < line <= node.span.end_line:
            for context, _ in node.contexts:
                yield Mend(context.span, "torch.enable_grad()", "what is differentiated is computed with grad enabled")


def _uncopied(case: Case, tensor: Tensor) -> Iterator[Mend]:
    """A tensor made anew from a number that was taken out of another: the other itself."""
    name = case.trace.name_of(tensor)
    for node in walk(case.program.body):
        if name and isinstance(node, s.Call) and called(node) in ("tensor", "as_tensor", "Variable"):
            yield Mend(node.span, name, "the tensor itself, with its graph, in place of a copy of its number")


def input_without_grad(case: Case) -> Diagnosis:
    """`torch.autograd.grad` by a tensor that autograd does not watch."""
    inputs = (case.failing_pass.backward.inputs or []) if case.failing_pass else []
    unwatched = [t for t in inputs if not t.requires_grad]
    names = " and ".join(map(case.name, unwatched)) or "one of the inputs"
    text = f"A gradient by {names} is asked for, which did not require grad when the result was computed from it."
    return Diagnosis(text, [mend for tensor in unwatched for mend in _require_grad(case, tensor)])


def _require_grad(case: Case, root: Tensor) -> Iterator[Mend]:
    """The creation of each floating-point leaf that the root was computed from, those whose `.grad` is read first."""
    entries = {id(t): entry for entry in case.trace.tape.entries for t in entry.outputs}
    stack, seen, lines = [root], set(), []
    while stack:
        tensor = stack.pop()
        entry = entries.get(id(tensor))
        if id(tensor) in seen or entry is None:
            continue
        seen.add(id(tensor))
        inputs = list(entry.inputs())
        if not inputs:
            lines.append((case.trace.name_of(tensor), entry.line))
        stack.extend(inputs)
    read = {
        n.object.name
        for n in walk(case.program.body)
        if isinstance(n, s.Attribute) and n.name == "grad" and isinstance(n.object, s.Name)
    }
    asked = {n.name for n in walk(case.call) if isinstance(n, s.Name)} if case.call else set()
    for _, line in sorted(lines, key=lambda found: (found[0] not in read | asked, found[1])):
        for call in calls_at(case.program, line, *CREATORS):
            yield add_keyword(case.program, call, "requires_grad=True", "autograd records what is computed from it")
            yield from as_float(case, call, "requires_grad=True")
