"""Errors of backward passes and in-place changes, each traced to the lines that caused it."""

from collections.abc import Iterator

from torch import Tensor

from gradline.autograd.diagnoses.case import CREATORS, Case, Diagnosis, argument_of, lines_that_made, present
from gradline.autograd.diagnoses.mends import (
    Mend,
    add_keyword,
    called,
    calls_at,
    out_of_place,
    statements_at,
    under_no_grad,
    walk,
)
from gradline.autograd.diagnoses.training_errors import weights_changed
from gradline.autograd.record.events import Pass
from gradline.autograd.record.network import Known
from gradline.autograd.record.snapshots import grad_fn_name
from gradline.autograd.record.tape import Entry
from gradline.programs import statements as s


def second_backward(case: Case) -> Diagnosis | None:
    """A graph that an earlier pass freed."""
    roots = case.failing_pass.backward.roots if case.failing_pass else []
    freed = next((k for k in case.trace.network.below(roots) if k.freed_by is not None), None)
    if freed is None:
        freed = next((k for k in reversed(case.trace.network.known.values()) if k.freed_by is not None), None)
    if freed is None:
        return None
    earlier: Pass = freed.freed_by
    made = f"{grad_fn_name(freed.node)} of line {freed.entry.line}" if freed.entry else grad_fn_name(freed.node)
    again = "in an earlier turn of the loop " if earlier.line == case.line else ""
    text = (
        f"{case.text(earlier.line)} on line {earlier.line} {again}went backward through this graph and freed"
        f" what its nodes had saved ({_tensors(earlier.n_freed)}). Line {case.line} needs them a second time: {made}"
        " has nothing left to compute its gradient from."
    )
    if earlier.line == case.line:
        text += " Either compute the result anew in every turn, or keep the graph."
    calls = calls_at(case.program, earlier.line, "backward", "grad")
    why = "the first backward keeps the graph for the second"
    kept = [add_keyword(case.program, call, "retain_graph=True", why) for call in calls]
    return Diagnosis(text, [*kept, *(_carried(case, freed.entry.line) if freed.entry else ())])


def _carried(case: Case, line: int) -> Iterator[Mend]:
    """A state that every turn of a loop takes over from the one before, without the graph behind it."""
    for statement in statements_at(case.program, line):
        if isinstance(statement, s.Assign):
            targets = {node.name for target in statement.targets for node in walk(target) if isinstance(node, s.Name)}
            for node in walk(statement.value):
                if isinstance(node, s.Name) and node.name in targets:
                    yield Mend(node.span, f"{node.name}.detach()", "each turn's graph begins with the state's value")


def _tensors(n: int) -> str:
    return "1 tensor" if n == 1 else f"{n} tensors"


def leaf_in_place(case: Case) -> Diagnosis:
    target = _changed_name(case.statement)
    name = f"`{target}`" if target else "the tensor"
    view = "a view of " if "view of a leaf" in str(case.error) else ""
    text = (
        f"{name} is {view}a leaf that requires grad: its gradient is to be collected for the value it has. Line"
        f" {case.line} would overwrite that value in place while autograd is recording, and the gradient would belong"
        " to no value at all."
        " An update of a parameter belongs under `torch.no_grad()`; a step of the computation makes a new tensor."
    )
    update = under_no_grad(case.program, case.statement, "autograd does not record an update")
    anew = out_of_place(case.program, case.statement, "a new tensor is computed, the leaf stays as it is")
    is_update = ".grad" in case.source(case.statement)
    return Diagnosis(text, present([update, anew] if is_update else [anew, update]))


def _changed_name(statement: s.Statement) -> str | None:
    for node in walk(statement):
        if isinstance(node, s.Name):
            return node.name
    return None


def modified_in_place(case: Case) -> Diagnosis | None:
    """A value needed for the backward that was overwritten since."""
    if case.failing_pass is None:
        return None
    for known in case.trace.network.below(case.failing_pass.backward.roots):
        lost = next((saved for saved in known.saved or [] if saved.tensor is None), None)
        if lost is None or known.entry is None:
            continue
        tensor, line = _overwritten(case, known, lost.name)
        name = case.name(tensor)
        saver = f"{case.text(known.entry.line)} on line {known.entry.line}"
        text = (
            f"To go backward through {grad_fn_name(known.node)}, torch needs the value that {name} had when {saver} was"
            f" computed; it saved that tensor, not a copy. "
        )
        if line is None:
            return Diagnosis(text + "It was changed in place since.")
        text += (
            f"{case.text(line)} on line {line} then changed it in place, so the gradient would be computed from the"
            " wrong value."
        )
        return Diagnosis(text, list(_keep_value(case, known.entry, tensor, line)))
    return None


def _overwritten(case: Case, known: Known, saved: str) -> tuple[Tensor | None, int | None]:
    """Which tensor a node had saved, and the line that changed it."""
    entry = known.entry
    if entry is None:
        return None, None
    tensors = (
        [*entry.outputs, *entry.inputs()]
        if "result" in saved or "output" in saved
        else [*entry.inputs(), *entry.outputs]
    )
    for tensor in tensors:
        storage = tensor.untyped_storage().data_ptr()
        for mutation in case.trace.tape.mutations:
            if mutation.storage == storage and mutation.index > entry.index:
                return tensor, mutation.line
    return None, None


def _keep_value(case: Case, entry: Entry, tensor: Tensor | None, line: int) -> Iterator[Mend]:
    for statement in statements_at(case.program, line):
        anew = out_of_place(case.program, statement, "a new tensor is made, the saved one stays as it is")
        if anew is not None and not (tensor is not None and tensor.is_leaf and tensor.requires_grad):
            yield anew
    if tensor is not None and tensor.is_leaf and tensor.requires_grad:
        yield from weights_changed(case, entry.line, line)
    name = case.trace.name_of(tensor)
    for statement in statements_at(case.program, entry.line):
        for node in walk(statement):
            if isinstance(node, s.Name) and node.name == name and not _is_target(statement, node):
                yield Mend(node.span, f"{name}.clone()", "the copy that is saved is not changed")


def _is_target(statement: s.Statement, node: s.Name) -> bool:
    if isinstance(statement, s.Assign):
        return any(node is part for target in statement.targets for part in walk(target))
    return isinstance(statement, s.Augment) and node is statement.target


def not_scalar(case: Case) -> Diagnosis:
    roots = case.failing_pass.backward.roots if case.failing_pass else []
    root = next((r for r in roots if r.numel() != 1), None)
    shape = f" of shape {tuple(root.shape)}" if root is not None else ""
    text = (
        f"{case.name(root)}{shape} is not a single number, so there is no one gradient of it: backward computes a"
        " vector-Jacobian product, and needs the vector. Ones give the gradient of the sum of all elements."
    )
    call = case.call
    if call is None:
        return Diagnosis(text)
    if called(call) == "backward" and isinstance(call.function, s.Attribute):
        name = case.source(call.function.object)
        ones = add_keyword(
            case.program, call, f"gradient=torch.ones_like({name})", "the gradient of the sum of the elements"
        )
        return Diagnosis(text, [ones])
    first = argument_of(call, 0, "outputs", "tensors")
    if first is None or root is None:
        return Diagnosis(text)
    keyword = "grad_outputs" if called(call) == "grad" else "grad_tensors"
    weights = _ones_for(case, first, len(roots))
    return Diagnosis(
        text, [add_keyword(case.program, call, f"{keyword}={weights}", "the gradient of the sum of the elements")]
    )


def _ones_for(case: Case, first: s.Expression, n: int) -> str:
    if isinstance(first, s.Sequence):
        return "[" + ", ".join(f"torch.ones_like({case.source(item)})" for item in first.items) + "]"
    name = case.source(first)
    return f"torch.ones_like({name})" if n == 1 else f"[torch.ones_like(t) for t in {name}]"


def unused(case: Case) -> Diagnosis:
    one = case.failing_pass
    call = case.call
    inputs = (one.backward.inputs or []) if one else []
    below = (
        {
            id(k.node.variable) if hasattr(k.node, "variable") else id(k.output)
            for k in case.trace.network.below(one.backward.roots)
        }
        if one
        else set()
    )
    missing = [case.name(t) for t in inputs if id(t) not in below]
    root = case.name(one.backward.roots[0]) if one else "the result"
    text = (
        f"{root} was not computed from {', '.join(missing) or 'one of the inputs'}: no path in the graph leads there,"
        " so the gradient is not a number but absent. Usual reasons: the name was bound to a new tensor since, its"
        " value was taken out with `.item()` or `.detach()`, or it is simply not used."
    )
    if call is None:
        return Diagnosis(text)
    return Diagnosis(
        text, [add_keyword(case.program, call, "allow_unused=True", "an absent gradient comes back as None")]
    )


def no_gradient(case: Case) -> Diagnosis | None:
    """`.grad` is None where a gradient was expected."""
    read = next(((t, line) for t, line in reversed(case.trace.grad_reads) if line == case.line), None)
    if read is None:
        return None
    tensor, _ = read
    name = case.trace.name_of(tensor)
    if name is None:
        return None
    made = case.trace.names[id(tensor)][0][1]
    if not tensor.is_leaf:
        return _grad_of_inner(case, name, made)
    if not tensor.requires_grad:
        text = f"`{name}.grad` is None because `{name}` (line {made}) does not require grad."
        calls = calls_at(case.program, made, *CREATORS)
        why = "autograd records what is computed from it"
        mends = [add_keyword(case.program, call, "requires_grad=True", why) for call in calls]
        update = next(_updates(case, name, made), None)
        if update is not None:
            text += (
                f" {case.text(made)} bound the name to a new tensor, made under `torch.no_grad()`, in place of the"
                " leaf; a parameter is updated in place."
            )
            mends.append(update)
        return Diagnosis(text, mends)
    text = f"`{name}.grad` is None: no backward pass has reached `{name}` before line {case.line}."
    guarded = Mend(
        case.statement.span,
        f"if {name}.grad is not None:\n    {case.source(case.statement)}",
        "only where there is a gradient",
    )
    return Diagnosis(text, [guarded])


def _updates(case: Case, name: str, line: int) -> Iterator[Mend]:
    """`w = w - step` as `w -= step`."""
    for statement in statements_at(case.program, line):
        value = statement.value if isinstance(statement, s.Assign) else None
        if isinstance(value, s.Binary) and isinstance(value.left, s.Name) and value.left.name == name:
            in_place = f"{name} {value.operator}= {case.source(value.right)}"
            yield Mend(statement.span, in_place, "the leaf itself is changed, and stays a leaf")


def _grad_of_inner(case: Case, name: str, made: int) -> Diagnosis:
    text = (
        f"`{name}.grad` is None because `{name}` is no leaf any more: {case.text(made)} on line {made} bound the name"
        " to the result of a computation, and torch keeps gradients of leaves only."
    )
    mends: list[Mend | None] = []
    for statement in statements_at(case.program, made):
        if not (isinstance(statement, s.Assign) and isinstance(statement.targets[0], s.Name)):
            continue
        value = statement.value
        if isinstance(value, s.Binary) and isinstance(value.left, s.Name) and value.left.name == name:
            text += " A parameter is updated in place, under `torch.no_grad()`."
            update = f"with torch.no_grad():\n    {name} {value.operator}= {case.source(value.right)}"
            mends.append(Mend(statement.span, update, "the leaf itself is changed, and stays a leaf"))
        keep = f"{case.source(statement)}\n{name}.retain_grad()"
        mends.append(Mend(statement.span, keep, "torch keeps the gradient of this inner tensor too"))
    return Diagnosis(text, present(mends))


def not_listened(case: Case) -> Diagnosis:
    text = "`retain_grad()` asks autograd to keep a gradient, but this tensor does not require grad: none will come by."
    call = case.call
    names = (
        lines_that_made(case, call.function.object.name)
        if call and isinstance(call.function, s.Attribute) and isinstance(call.function.object, s.Name)
        else []
    )
    calls = [c for line in names for c in calls_at(case.program, line, *CREATORS)]
    return Diagnosis(
        text,
        [
            add_keyword(case.program, c, "requires_grad=True", "autograd records what is computed from it")
            for c in calls
        ],
    )


def weight_shape(case: Case) -> Diagnosis:
    one = case.failing_pass
    root = one.backward.roots[0] if one else None
    weight = one.backward.weights[0] if one and one.backward.weights else None
    text = (
        "The gradient that backward starts from must have the shape of the result, one weight for each of its elements"
    )
    if root is not None and weight is not None:
        text += (
            f": {case.name(root)} has shape {tuple(root.shape)}, the gradient given has shape {tuple(weight.shape)}."
        )
    call = case.call
    if call is None or not isinstance(call.function, s.Attribute):
        return Diagnosis(text)
    given = argument_of(call, 0, "gradient")
    if given is None:
        return Diagnosis(text)
    return Diagnosis(
        text, [Mend(given.span, f"torch.ones_like({case.source(call.function.object)})", "one weight per element")]
    )
