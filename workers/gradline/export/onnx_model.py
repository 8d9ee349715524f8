"""The scorecard as an ONNX graph of the raw columns: one input a column, [rows, 1], double or string.

A missing number is NaN and a missing text the empty string; text is to be trimmed, which ONNX has no operator for, and
numbers that are levels are spelled as the scorecard spells them; booleans are 1 and 0. A row that the model refuses, or
whose text is not trimmed, gives NaN everywhere. Outputs: `probabilities` [rows, classes] and `class_index` [rows], or
`prediction` [rows].
"""

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from gradline.scoring import Scorecard, Table, TextInput

OPSET = 20
ML_OPSET = 3
IR_VERSION = 9
"""Of 2023: old enough for the runtimes of several years."""
SPACE = "".join(filter(str.isspace, map(chr, range(0x3001))))
"""What trimming takes away; spelled out, since not all engines of regular expressions mean the same by white space."""
TRIMMED = f"([^{SPACE}]((?s:.)*[^{SPACE}])?)?"


def write_onnx(card: Scorecard) -> bytes:
    """A checked model."""
    graph = _Graph()
    z = _predictor(graph, card)
    outputs = _respond(graph, card, z)
    inputs = [_column(i.column, TensorProto.DOUBLE) for i in card.numbers]
    inputs += [_column(i.column, TensorProto.STRING) for i in card.texts]
    if card.offset is not None:
        inputs.append(_column(card.offset.column, TensorProto.DOUBLE))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "gradline", inputs, outputs, graph.constants),
        opset_imports=opsets,
        ir_version=IR_VERSION,
        producer_name="gradline",
    )
    helper.set_model_props(model, {"family": card.document["family"], "classes": str(card.document["classes"])})
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


class _Graph:
    """Nodes and constants, with names made as they come."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: NDArray[Any] | list[list[float]]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The name of the node's output."""
        output = attributes.pop("output", None) or f"node_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return str(output)

    def total(self, parts: list[str]) -> str:
        return parts[0] if len(parts) == 1 else self.add("Sum", *parts)


def _predictor(graph: _Graph, card: Scorecard) -> str:
    atoms = _atoms(graph, card)
    codes = [_code(graph, text) for text in card.texts]
    parts = [graph.constant(card.intercepts_k[None, :])]
    if atoms:
        joined = graph.add("Concat", *atoms, axis=1) if len(atoms) > 1 else atoms[0]
        parts.append(graph.add("MatMul", joined, graph.constant(card.weights_jk)))
    parts += [_table_term(graph, table, atoms, codes) for table in card.tables]
    parts += [_refusal(graph, i, c) for i, c in zip(card.texts, codes, strict=True) if None in (i.missing, i.unseen)]
    parts += [_untrimmed(graph, text) for text in card.texts]
    if card.offset is not None:
        parts.append(card.offset.column)
    return graph.total(parts)


def _atoms(graph: _Graph, card: Scorecard) -> list[str]:
    """[rows, 1] each: filled numbers, then indicators."""
    is_missing = {i.column: graph.add("IsNaN", i.column) for i in card.numbers if i.fill is not None}
    filled = [
        i.column if i.fill is None else graph.add("Where", is_missing[i.column], graph.constant([[i.fill]]), i.column)
        for i in card.numbers
    ]
    columns = [card.numbers[j].column for j in card.indicators]
    return filled + [graph.add("Cast", is_missing[column], to=TensorProto.DOUBLE) for column in columns]


def _code(graph: _Graph, text: TextInput) -> str:
    """[rows] codes; a row that is refused has the code after the last."""
    refused = len(text.levels)
    missing = refused if text.missing is None else text.missing
    unseen = refused if text.unseen is None else text.unseen
    encoded = graph.add(
        "LabelEncoder",
        text.column,
        domain="ai.onnx.ml",
        keys_strings=[*text.levels, ""],
        values_int64s=[*range(len(text.levels)), missing],
        default_int64=unseen,
    )
    return graph.add("Squeeze", encoded, graph.constant(np.array([1])))


def _table_term(graph: _Graph, table: Table, atoms: list[str], codes: list[str]) -> str:
    """[rows, outputs]."""
    n_outputs = table.coefficients.shape[-1]
    if not table.inputs:
        part = graph.constant(table.coefficients[None, :])
    else:
        padded = np.pad(table.coefficients, [(0, 1)] * len(table.inputs) + [(0, 0)])  # a refused row adds nothing here
        place = codes[table.inputs[0]]
        for axis, i in enumerate(table.inputs[1:], 1):
            scaled = graph.add("Mul", place, graph.constant(np.array(padded.shape[axis])))
            place = graph.add("Add", scaled, codes[i])
        part = graph.add("Gather", graph.constant(padded.reshape(-1, n_outputs)), place, axis=0)
    for a in table.atoms:
        part = graph.add("Mul", part, atoms[a])
    return part


def _refusal(graph: _Graph, text: TextInput, code: str) -> str:
    """[rows, 1]: NaN where a row is refused, else 0."""
    nan_at_end = np.zeros((len(text.levels) + 1, 1))
    nan_at_end[-1] = np.nan
    return graph.add("Gather", graph.constant(nan_at_end), code, axis=0)


def _untrimmed(graph: _Graph, text: TextInput) -> str:
    """[rows, 1]: NaN where text is not trimmed, else 0."""
    is_trimmed = graph.add("RegexFullMatch", text.column, pattern=TRIMMED)
    return graph.add("Where", is_trimmed, graph.constant([[0.0]]), graph.constant([[math.nan]]))


def _respond(graph: _Graph, card: Scorecard, z: str) -> list[Any]:
    if not card.has_classes:
        flat = graph.add("Squeeze", z, graph.constant(np.array([1])))
        graph.add("Identity" if card.document["family"] == "gaussian" else "Exp", flat, output="prediction")
        return [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, ["rows"])]
    n_classes = len(card.document["classes"])
    if len(card.intercepts_k) == 1:
        zero = graph.add("Mul", z, graph.constant(np.array([[0.0]])))
        graph.add("Softmax", graph.add("Concat", zero, z, axis=1), axis=1, output="probabilities")
        threshold = card.document["threshold"]
        least = graph.constant(np.array([[math.log(threshold / (1 - threshold))]]))
        is_one = graph.add("Cast", graph.add("GreaterOrEqual", z, least), to=TensorProto.INT64)
        graph.add("Squeeze", is_one, graph.constant(np.array([1])), output="class_index")
    else:
        graph.add("Softmax", z, axis=1, output="probabilities")
        graph.add("ArgMax", z, axis=1, keepdims=0, output="class_index")
    return [
        helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, ["rows", n_classes]),
        helper.make_tensor_value_info("class_index", TensorProto.INT64, ["rows"]),
    ]


def _column(name: str, kind: int) -> Any:
    return helper.make_tensor_value_info(name, kind, ["rows", 1])
