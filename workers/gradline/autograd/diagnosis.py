"""Why a program failed: the cause traced in this program, and a corrected line that was tried."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import torch

from gradline.autograd.interpreter import Interpreter
from gradline.autograd.mends import (
    Mend,
    add_keyword,
    called,
    calls_at,
    first_that_works,
    out_of_place,
    source,
    statements_at,
    under_no_grad,
    walk,
)
from gradline.autograd.network import Known
from gradline.autograd.snapshots import grad_fn_name
from gradline.autograd.tape import Entry
from gradline.autograd.trace import Pass, Trace
from gradline.programs import statements as s

Tensor = torch.Tensor
MAX_MESSAGE = 2_000


@dataclass(slots=True)
class Case:
    """One failure with everything known about it."""

    program: s.Program
    trace: Trace
    interpreter: Interpreter
    error: Exception
    statement: s.Statement
    spot: s.Node | None

    @property
    def line(self) -> int:
        return self.statement.span.line

    @property
    def failing_pass(self) -> Pass | None:
        """The backward pass that was running."""
        last = self.trace.passes[-1] if self.trace.passes else None
        return last if last is not None and not last.is_done and last.line == self.line else None

    @property
    def call(self) -> s.Call | None:
        return self.spot if isinstance(self.spot, s.Call) else None

    def name(self, tensor: Tensor | None) -> str:
        found = self.trace.name_of(tensor)
        return f"`{found}`" if found else "a value without a name"

    def text(self, line: int) -> str:
        return f"`{self.program.line(line).strip()}`"

    def source(self, node: s.Node) -> str:
        return source(self.program, node.span)


@dataclass(slots=True)
class Diagnosis:
    text: str
    mends: list[Mend] = field(default_factory=list)


def explain(program: s.Program, trace: Trace, interpreter: Interpreter, error: Exception) -> dict[str, Any]:
    """The error of a result: torch's message, what caused it here, and a corrected line."""
    statement, spot = interpreter.failed_at or (program.body[-1], None)
    case = Case(program, trace, interpreter, error, statement, spot)
    diagnosis = _diagnose(case)
    at = (spot or statement).span
    shown: dict[str, Any] = {
        "line": statement.span.line,
        "column": at.column + program.shifts[at.line - 1] + 1,
        "source": program.line(statement.span.line).strip(),
        "type": type(error).__name__,
        "message": str(error)[:MAX_MESSAGE],
        "diagnosis": diagnosis.text,
        "mend": None,
    }
    mended = first_that_works(program, [m for m in diagnosis.mends if m is not None], statement.span.line)
    if mended is not None:
        shown |= {
            "mend": mended.text,
            "mend_line": mended.line,
            "mend_why": mended.why,
            "mended_program": mended.program,
        }
    return shown


def _diagnose(case: Case) -> Diagnosis:
    message = str(case.error)
    for pattern, diagnose in _DIAGNOSES:
        if re.search(pattern, message):
            found = diagnose(case)
            if found is not None:
                return found
    return Diagnosis(_general(case))


def _second_backward(case: Case) -> Diagnosis | None:
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
        f"{case.text(earlier.line)} on line {earlier.line} {again}went backward through this graph and freed what"
        f" its nodes had saved ({_tensors(earlier.n_freed)}). Line {case.line} needs them a second time: {made} has nothing left to"
        " compute its gradient from."
    )
    if earlier.line == case.line:
        text += " Either compute the result anew in every turn, or keep the graph."
    calls = calls_at(case.program, earlier.line, "backward", "grad")
    why = "the first backward keeps the graph for the second"
    return Diagnosis(text, [add_keyword(case.program, call, "retain_graph=True", why) for call in calls])


def _tensors(n: int) -> str:
    return "1 tensor" if n == 1 else f"{n} tensors"


def _leaf_in_place(case: Case) -> Diagnosis:
    target = _changed_name(case.statement)
    name = f"`{target}`" if target else "the tensor"
    view = "a view of " if "view of a leaf" in str(case.error) else ""
    text = (
        f"{name} is {view}a leaf that requires grad: its gradient is to be collected for the value it has. Line {case.line}"
        " would overwrite that value in place while autograd is recording, and the gradient would belong to no value at all."
        " An update of a parameter belongs under `torch.no_grad()`; a step of the computation makes a new tensor."
    )
    update = under_no_grad(case.program, case.statement, "autograd does not record an update")
    anew = out_of_place(case.program, case.statement, "a new tensor is computed, the leaf stays as it is")
    is_update = ".grad" in case.source(case.statement)
    return Diagnosis(text, _present([update, anew] if is_update else [anew, update]))


def _changed_name(statement: s.Statement) -> str | None:
    for node in walk(statement):
        if isinstance(node, s.Name):
            return node.name
    return None


def _modified_in_place(case: Case) -> Diagnosis | None:
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
            f"{case.text(line)} on line {line} then changed it in place, so the gradient would be computed from the wrong"
            " value."
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
    name = case.trace.name_of(tensor)
    for statement in statements_at(case.program, entry.line):
        for node in walk(statement):
            if isinstance(node, s.Name) and node.name == name and not _is_target(statement, node):
                yield Mend(node.span, f"{name}.clone()", "the copy that is saved is not changed")


def _is_target(statement: s.Statement, node: s.Name) -> bool:
    if isinstance(statement, s.Assign):
        return any(node is part for target in statement.targets for part in walk(target))
    return isinstance(statement, s.Augment) and node is statement.target


def _not_scalar(case: Case) -> Diagnosis:
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
    first = _argument(call, 0, "outputs", "tensors")
    if first is None or root is None:
        return Diagnosis(text)
    keyword = "grad_outputs" if called(call) == "grad" else "grad_tensors"
    ones = _ones_for(case, first, len(roots))
    return Diagnosis(
        text, [add_keyword(case.program, call, f"{keyword}={ones}", "the gradient of the sum of the elements")]
    )


def _ones_for(case: Case, first: s.Expression, n: int) -> str:
    if isinstance(first, s.Sequence):
        return "[" + ", ".join(f"torch.ones_like({case.source(item)})" for item in first.items) + "]"
    name = case.source(first)
    return f"torch.ones_like({name})" if n == 1 else f"[torch.ones_like(t) for t in {name}]"


def _argument(call: s.Call, position: int, *names: str) -> s.Expression | None:
    if len(call.arguments) > position:
        return call.arguments[position]
    return next((value for key, value in call.keywords if key in names), None)


def _no_graph(case: Case) -> Diagnosis:
    """Nothing that the result was computed from requires grad, or the way there was cut."""
    roots = case.failing_pass.backward.roots if case.failing_pass else []
    root = next((r for r in roots if not r.requires_grad), None)
    if root is None:
        return Diagnosis(
            "Nothing on the way from here to a leaf requires grad, so there is no graph to go backward through."
        )
    name = case.name(root)
    cut = _cut_before(case, root)
    if cut is not None:
        how, line, tensor = cut
        text = (
            f"{name} has no graph: {case.text(line)} on line {line} took {case.name(tensor)} out of it ({how}), and what is"
            " computed from then on is a constant to autograd."
        )
        return Diagnosis(text, [*_uncut(case, line), *_uncopied(case, tensor)])
    text = (
        f"{name} was computed only from tensors that do not require grad, so no graph was built. Say at its creation which"
        " tensor the gradient is wanted for."
    )
    return Diagnosis(text, list(_require_grad(case, root)))


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


def _input_without_grad(case: Case) -> Diagnosis:
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
        for call in calls_at(case.program, line, *_CREATORS):
            yield add_keyword(case.program, call, "requires_grad=True", "autograd records what is computed from it")
            yield from _as_float(case, call, "requires_grad=True")


_CREATORS = (
    "tensor",
    "ones",
    "zeros",
    "rand",
    "randn",
    "full",
    "arange",
    "linspace",
    "eye",
    "Variable",
    "randint",
    "as_tensor",
)


def _as_float(case: Case, call: s.Call, keyword: str | None = None) -> Iterator[Mend]:
    """A creation of whole numbers as one of floating-point numbers."""
    why = "gradients need floating-point numbers"
    if any(key == "dtype" for key, _ in call.keywords):
        yield add_keyword(case.program, call, "dtype=torch.float32", why)
        return
    numbers = [n for a in call.arguments for n in walk(a) if isinstance(n, s.Constant) and type(n.value) is int]
    text = case.source(call)
    if numbers and called(call) in ("tensor", "Variable") and "\n" not in text:
        for number in reversed(numbers):
            at = number.span.end_column - call.span.column
            text = f"{text[:at]}.{text[at:]}"
        yield Mend(call.span, text if keyword is None or keyword in text else f"{text[:-1]}, {keyword})", why)
    yield add_keyword(case.program, call, "dtype=torch.float32", why)


def _unused(case: Case) -> Diagnosis:
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
        f"{root} was not computed from {', '.join(missing) or 'one of the inputs'}: no path in the graph leads there, so the"
        " gradient is not a number but absent. Usual reasons: the name was bound to a new tensor since, its value was taken"
        " out with `.item()` or `.detach()`, or it is simply not used."
    )
    if call is None:
        return Diagnosis(text)
    return Diagnosis(
        text, [add_keyword(case.program, call, "allow_unused=True", "an absent gradient comes back as None")]
    )


def _no_gradient(case: Case) -> Diagnosis | None:
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
        calls = calls_at(case.program, made, *_CREATORS)
        why = "autograd records what is computed from it"
        return Diagnosis(text, [add_keyword(case.program, call, "requires_grad=True", why) for call in calls])
    text = f"`{name}.grad` is None: no backward pass has reached `{name}` before line {case.line}."
    guarded = Mend(
        case.statement.span,
        f"if {name}.grad is not None:\n    {case.source(case.statement)}",
        "only where there is a gradient",
    )
    return Diagnosis(text, [guarded])


def _grad_of_inner(case: Case, name: str, made: int) -> Diagnosis:
    text = (
        f"`{name}.grad` is None because `{name}` is no leaf any more: {case.text(made)} on line {made} bound the name to the"
        " result of a computation, and torch keeps gradients of leaves only."
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
    return Diagnosis(text, _present(mends))


def _whole_numbers(case: Case) -> Diagnosis:
    text = (
        "A gradient says how the result changes when a value changes a little; whole numbers and booleans cannot change a"
        " little, so torch computes gradients for floating-point (and complex) tensors only."
    )
    mends = []
    lines = [case.line]
    if (
        case.call is not None
        and isinstance(case.call.function, s.Attribute)
        and isinstance(case.call.function.object, s.Name)
    ):
        lines += _made_at(case, case.call.function.object.name)
    if isinstance(case.statement, s.Assign) and isinstance(case.statement.targets[0], s.Attribute):
        lines += _made_at(case, getattr(case.statement.targets[0].object, "name", ""))
    for line in lines:
        for call in calls_at(case.program, line, *_CREATORS):
            mends += list(_as_float(case, call))
    return Diagnosis(text, mends)


def _made_at(case: Case, name: str) -> list[int]:
    return [line for named in case.trace.names.values() for known, line, _ in named if known == name]


def _shapes(case: Case) -> Diagnosis:
    text = f"The shapes do not fit: {_shapes_of(case)}."
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
        text += " In a matrix product the columns of the left factor meet the rows of the right one: their numbers must agree."
    else:
        text += " Shapes are compared from the last dimension on; each pair must be equal, or one of them 1."
    for node, product in reversed(pairs):
        inner = case.source(node)
        inner = f"({inner})" if isinstance(node, s.Binary | s.Unary) else inner
        for change in (".T",) if product or not _differ_in_dimensions(case, pairs) else (".unsqueeze(1)", ".T"):
            mends.append(
                Mend(node.span, f"{inner}{change}", f"`{change[1:]}` brings the dimensions into the order needed")
            )
    return Diagnosis(text, mends)


def _differ_in_dimensions(case: Case, pairs: list[tuple[s.Expression, bool]]) -> bool:
    values = [_find(case, node.name) for node, _ in pairs if isinstance(node, s.Name)]
    return len({value.dim() for value in values if isinstance(value, Tensor)}) > 1


def _shapes_of(case: Case) -> str:
    """The tensors named at the spot with their shapes."""
    shapes = {}
    for node in walk(case.spot):
        if isinstance(node, s.Name):
            value = _find(case, node.name)
            if isinstance(value, Tensor):
                shapes[node.name] = tuple(value.shape)
    listed = ", ".join(f"`{name}` has shape {shape}" for name, shape in shapes.items())
    return listed or str(case.error).splitlines()[0]


def _find(case: Case, name: str) -> Any:
    frame = case.interpreter.failed_frame or case.interpreter.frame
    while frame is not None:
        if name in frame.names:
            return frame.names[name]
        frame = frame.parent
    return None


def _weight_shape(case: Case) -> Diagnosis:
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
    given = _argument(call, 0, "gradient")
    if given is None:
        return Diagnosis(text)
    return Diagnosis(
        text, [Mend(given.span, f"torch.ones_like({case.source(call.function.object)})", "one weight per element")]
    )


def _device(case: Case) -> Diagnosis:
    text = "This program computes on two devices at once, or on one that this worker does not have. All tensors of an operation must be on one device."
    mends = []
    names = [n for n in walk(case.spot) if isinstance(n, s.Name) and isinstance(_find(case, n.name), Tensor)]
    places = ", ".join(f"`{n.name}` is on {_find(case, n.name).device}" for n in names)
    if places:
        text += f" Here {places}."
    for node in names[::-1]:
        other = next((o for o in names if _find(case, o.name).device != _find(case, node.name).device), None)
        if other is not None:
            mends.append(Mend(node.span, f"{node.name}.to({other.name}.device)", "both are on one device"))
    for node in walk(case.statement):
        if isinstance(node, s.Call) and called(node) == "cuda" and isinstance(node.function, s.Attribute):
            mends.append(Mend(node.span, case.source(node.function.object), "the tensor stays where it is"))
        if isinstance(node, s.Constant) and isinstance(node.value, str) and node.value.startswith("cuda"):
            mends.append(Mend(node.span, '"cpu"', "the processor is always there"))
    for node in walk(case.program.body):
        if isinstance(node, s.Constant) and isinstance(node.value, str) and node.value.startswith("cuda"):
            mends.append(Mend(node.span, '"cpu"', "the processor is always there"))
    return Diagnosis(text, mends)


def _numpy(case: Case) -> Diagnosis:
    text = "An array knows nothing of the graph; torch asks you to say that you leave it, with `.detach()`."
    call = case.call
    if call is None or not isinstance(call.function, s.Attribute):
        return Diagnosis(text)
    receiver = case.source(call.function.object)
    return Diagnosis(
        text, [Mend(call.function.object.span, f"{receiver}.detach()", "the values leave the graph on purpose")]
    )


def _dtypes(case: Case) -> Diagnosis:
    text = f"The operation needs numbers of one type: {_dtypes_of(case)}."
    mends = []
    for node in [n for n in walk(case.spot) if isinstance(n, s.Name) and isinstance(_find(case, n.name), Tensor)]:
        for method in ("float", "double", "long"):
            mends.append(Mend(node.span, f"{node.name}.{method}()", f"`.{method}()` gives the type that is needed"))
    return Diagnosis(text, mends)


def _dtypes_of(case: Case) -> str:
    found = {n.name: _find(case, n.name) for n in walk(case.spot) if isinstance(n, s.Name)}
    listed = [
        f"`{name}` is {str(t.dtype).removeprefix('torch.')}" for name, t in found.items() if isinstance(t, Tensor)
    ]
    return ", ".join(listed) or str(case.error).splitlines()[0]


def _means_of_integers(case: Case) -> Diagnosis:
    text = "A mean of whole numbers is none; torch wants floating-point numbers here."
    call = case.call
    if call is None or not isinstance(call.function, s.Attribute):
        return Diagnosis(text)
    receiver = case.source(call.function.object)
    return Diagnosis(text, [Mend(call.function.object.span, f"{receiver}.float()", "as floating-point numbers")])


def _ambiguous(case: Case) -> Diagnosis:
    text = "A condition must be one yes or no; this tensor holds one for every element. `.any()` or `.all()` says which is meant."
    node = case.statement.test if isinstance(case.statement, s.If | s.While) else None
    if node is None:
        return Diagnosis(text)
    return Diagnosis(text, [Mend(node.span, f"({case.source(node)}).all()", "true where it holds for every element")])


def _one_number(case: Case) -> Diagnosis:
    text = "Only a tensor with a single element can become a number; reduce it first, with `.sum()` or `.mean()`, or print it whole."
    call = case.call
    if call is None or not isinstance(call.function, s.Attribute):
        return Diagnosis(text)
    receiver = case.source(call.function.object)
    return Diagnosis(text, [Mend(call.function.object.span, f"{receiver}.sum()", "one number: the sum")])


def _undefined(case: Case) -> Diagnosis:
    name = str(case.error).split("'")[1]
    known = {key for frame in _frames(case) for key in frame.names}
    meant = get_close_matches(name, known, n=1, cutoff=0.5)
    text = f"`{name}` has no value yet when line {case.line} runs"
    text += f"; did you mean `{meant[0]}`?" if meant else ": assign it on a line before."
    nodes = [n for n in walk(case.statement) if isinstance(n, s.Name) and n.name == name]
    return Diagnosis(text, [Mend(n.span, meant[0], "the name that has a value") for n in nodes if meant])


def _frames(case: Case) -> Iterator[Any]:
    frame = case.interpreter.failed_frame or case.interpreter.frame
    while frame is not None:
        yield frame
        frame = frame.parent


def _not_listened(case: Case) -> Diagnosis:
    text = "`retain_grad()` asks autograd to keep a gradient, but this tensor does not require grad: no gradient will come by."
    call = case.call
    names = (
        _made_at(case, call.function.object.name)
        if call and isinstance(call.function, s.Attribute) and isinstance(call.function.object, s.Name)
        else []
    )
    calls = [c for line in names for c in calls_at(case.program, line, *_CREATORS)]
    return Diagnosis(
        text,
        [
            add_keyword(case.program, c, "requires_grad=True", "autograd records what is computed from it")
            for c in calls
        ],
    )


def _general(case: Case) -> str:
    """What can be said of any error: where, and what stood there."""
    kind = type(case.error).__name__
    shapes = _shapes_of(case) if case.spot is not None else ""
    named = f" Here {shapes}." if shapes.startswith("`") else ""
    return f"Line {case.line} raised {kind}, as plain Python would.{named}"


def _present(mends: Iterable[Mend | None]) -> list[Mend]:
    return [mend for mend in mends if mend is not None]


_DIAGNOSES: list[tuple[str, Callable[[Case], Diagnosis | None]]] = [
    (r"backward through the graph a second time", _second_backward),
    (r"leaf Variable that requires grad.* in-place|view of a leaf Variable", _leaf_in_place),
    (r"modified by an inplace operation", _modified_in_place),
    (r"grad can be implicitly created only for scalar", _not_scalar),
    (r"does not require grad and does not have a grad_fn", _no_graph),
    (r"differentiated Tensors does not require grad", _input_without_grad),
    (r"appears to not have been used in the graph", _unused),
    (r"NoneType", _no_gradient),
    (r"can't retain_grad on Tensor that has requires_grad=False", _not_listened),
    (r"floating point.* dtype can require gradients", _whole_numbers),
    (r"Mismatch in shape: grad_output|Expected a gradient of shape|grad_output\[\d", _weight_shape),
    (r"same device|not compiled with CUDA|No CUDA GPUs|NVIDIA driver", _device),
    (r"Can't call numpy\(\) on Tensor that requires grad", _numpy),
    (r"shapes? cannot be multiplied|must match the size of tensor|size mismatch|inconsistent tensor size", _shapes),
    (r"is invalid for input of size|not broadcastable|shape mismatch|Expected size|must match except", _shapes),
    (r"could not infer output dtype|mean\(\): .*dtype", _means_of_integers),
    (
        r"expected .* but (found|got)|same dtype|can't be cast to the desired|expected scalar type|must have the same dtype",
        _dtypes,
    ),
    (r"Boolean value of Tensor with more than one value", _ambiguous),
    (r"cannot be converted to Scalar|only one element tensors", _one_number),
    (r"^name '.*' is not defined", _undefined),
]
"""Messages of torch and Python, and what explains each."""
