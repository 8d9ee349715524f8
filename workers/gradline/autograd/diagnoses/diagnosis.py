"""Why a program failed: the cause traced in this program, and a corrected line that was tried."""

import re
from collections.abc import Callable
from typing import Any

from gradline.autograd.diagnoses.case import MAX_MESSAGE, Case, Diagnosis
from gradline.autograd.diagnoses.cut_errors import input_without_grad, no_graph, plain_number
from gradline.autograd.diagnoses.graph_errors import (
    leaf_in_place,
    modified_in_place,
    no_gradient,
    not_listened,
    not_scalar,
    second_backward,
    unused,
    weight_shape,
)
from gradline.autograd.diagnoses.mends import (
    first_that_works,
)
from gradline.autograd.diagnoses.training_errors import class_numbers, layer_size, loss_sizes
from gradline.autograd.diagnoses.usage_errors import (
    copy_of_result,
    flag_of_result,
    not_probabilities,
    number_of_gradients,
)
from gradline.autograd.diagnoses.value_errors import (
    ambiguous,
    device,
    dtypes,
    means_of_integers,
    numpy,
    one_number,
    shapes,
    shapes_of,
    undefined,
    whole_numbers,
)
from gradline.autograd.interpreter import Interpreter
from gradline.autograd.record.trace import Trace
from gradline.programs import statements as s


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


def _general(case: Case) -> str:
    """What can be said of any error: where, and what stood there."""
    kind = type(case.error).__name__
    shapes = shapes_of(case) if case.spot is not None else ""
    named = f" Here {shapes}." if shapes.startswith("`") else ""
    return f"Line {case.line} raised {kind}, as plain Python would.{named}"


_DIAGNOSES: list[tuple[str, Callable[[Case], Diagnosis | None]]] = [
    (r"backward through the graph a second time", second_backward),
    (r"leaf Variable that requires grad.* in-place|view of a leaf Variable", leaf_in_place),
    (r"modified by an inplace operation", modified_in_place),
    (r"grad can be implicitly created only for scalar", not_scalar),
    (r"does not require grad and does not have a grad_fn", no_graph),
    (r"differentiated Tensors does not require grad", input_without_grad),
    (r"appears to not have been used in the graph", unused),
    (r"NoneType", no_gradient),
    (r"'(float|int)' object has no attribute '(backward|grad)'", plain_number),
    (r"only change requires_grad flags of leaf", flag_of_result),
    (r"all elements of input should be between 0 and 1", not_probabilities),
    (r"incorrect number of gradients", number_of_gradients),
    (r"support the deepcopy protocol", copy_of_result),
    (r"can't retain_grad on Tensor that has requires_grad=False", not_listened),
    (r"floating point.* dtype can require gradients", whole_numbers),
    (r"Mismatch in shape: grad_output|Expected a gradient of shape|grad_output\[\d", weight_shape),
    (r"same device|not compiled with CUDA|No CUDA GPUs|NVIDIA driver", device),
    (r"Can't call numpy\(\) on Tensor that requires grad", numpy),
    (
        r"cannot be multiplied|to have \d+ channels|running_mean should contain|normalized_shape=",
        layer_size,
    ),
    (
        r"Expected input batch_size|[Tt]arget size|must match the size of tensor|multi-target not supported",
        loss_sizes,
    ),
    (r"Target -?\d+ is out of bounds", class_numbers),
    (r"shapes? cannot be multiplied|must match the size of tensor|size mismatch|inconsistent tensor size", shapes),
    (
        r"is invalid for input of size|not broadcastable|shape mismatch|Expected size|must match except",
        shapes,
    ),
    (r"could not infer output dtype|mean\(\): .*dtype", means_of_integers),
    (
        r"expected .* but (found|got)|same dtype|can't be cast to the desired|expected scalar type|Found dtype",
        dtypes,
    ),
    (r"Boolean value of Tensor with more than one value", ambiguous),
    (r"cannot be converted to Scalar|only one element tensors", one_number),
    (r"^name '.*' is not defined", undefined),
]
"""Messages of torch and Python, and what explains each."""
