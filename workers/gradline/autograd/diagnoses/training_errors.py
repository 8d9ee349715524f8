"""Errors of training: layers and losses of other sizes, and weights that are changed between two backward passes."""

import re
from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.diagnoses.case import Case, Diagnosis, argument_of, find_value
from gradline.autograd.diagnoses.mends import Mend, called, walk
from gradline.programs import statements as s

_LAYERS = (
    (r"cannot be multiplied \(\d+x(?P<got>\d+) and (?P<want>\d+)x(?P<out>\d+)\)", ("Linear",), "in_features"),
    (r"to have (?P<want>\d+) channels, but got (?P<got>\d+)", ("Conv1d", "Conv2d"), "in_channels"),
    (r"mean should contain (?P<got>\d+) elements not (?P<want>\d+)", ("BatchNorm1d", "BatchNorm2d"), "num_features"),
    (r"normalized_shape=\[(?P<want>\d+)\].*got input of size\[.*?(?P<got>\d+)\]", ("LayerNorm",), "normalized_shape"),
)  # fmt: skip
"""What torch says, the layers that say it, and the argument by which they know what comes in."""


def layer_size(case: Case) -> Diagnosis | None:
    """A layer made for an input of another size; None where no layer of the program says so."""
    for pattern, names, argument in _LAYERS:
        found = re.search(pattern, str(case.error))
        if found is None:
            continue
        want, got, out = int(found["want"]), int(found["got"]), found.groupdict().get("out")
        for layer in [n for n in walk(case.program.body) if isinstance(n, s.Call) and called(n) in names]:
            size = argument_of(layer, 0, argument)
            outputs = argument_of(layer, 1, "out_features")
            if size is None or _number(case, size) != want or (out and outputs and _number(case, outputs) != int(out)):
                continue
            text = (
                f"`{case.source(layer)}` on line {layer.span.line} is made for {argument} = {want}, and what comes in"
                f" here has {got}."
            )
            why = f"the layer takes the {got} that come in"
            return Diagnosis(text, [*_flattened(case, want), Mend(size.span, str(got), why)])
    return None


def _number(case: Case, node: s.Expression) -> Any:
    """What a size stands for: written out, named, or the product of two such."""
    if isinstance(node, s.Binary) and node.operator == "*":
        left, right = _number(case, node.left), _number(case, node.right)
        return left * right if isinstance(left, int) and isinstance(right, int) else None
    if isinstance(node, s.Name):
        return find_value(case, node.name)
    return node.value if isinstance(node, s.Constant) else None


def _flattened(case: Case, want: int) -> Iterator[Mend]:
    """Where all of a sample's numbers together are as many as the layer takes."""
    for given in case.call.arguments[:1] if case.call else ():
        value = _value(case, given)
        if value is not None and value.dim() > 2 and prod(value.shape[1:]) == want:
            yield Mend(given.span, f"{case.source(given)}.flatten(1)", "all numbers of a sample in one row")


def _value(case: Case, node: s.Expression | None) -> Tensor | None:
    value = find_value(case, node.name) if isinstance(node, s.Name) else None
    return value if isinstance(value, Tensor) else None


def loss_sizes(case: Case) -> Diagnosis | None:
    """A loss of predictions and targets that do not stand in pairs; None where it is no loss."""
    call = case.call
    if call is None or not is_loss(case, call):
        return None
    given, target = argument_of(call, 0, "input"), argument_of(call, 1, "target")
    if given is None or target is None:
        return None
    sizes = " and ".join(
        f"`{case.source(node)}` has shape {tuple(value.shape)}"
        for node in (given, target)
        if (value := _value(case, node)) is not None
    )
    text = "A loss pairs every prediction with its target" + (f"; here {sizes}." if sizes else ".")
    numbers = re.search(r"\((\d+)\).*\((\d+)\)", str(case.error))
    if numbers and numbers[1] != numbers[2]:
        text += f" {numbers[1]} rows cannot be paired with {numbers[2]} targets: some were lost, or added, on the way."
    return Diagnosis(text, [*_paired(case, given, target), *_cut_short(case, given, target, numbers)])


def is_loss(case: Case, call: s.Call) -> bool:
    """Whether a call computes one of torch's losses, by its function or by a module of it."""
    function = call.function
    module = find_value(case, function.name) if isinstance(function, s.Name) else None
    name = called(function) if isinstance(function, s.Call) else called(call)
    return isinstance(module, torch.nn.modules.loss._Loss) or name.endswith(("_loss", "Loss")) or "entropy" in name


def _paired(case: Case, given: s.Expression, target: s.Expression) -> Iterator[Mend]:
    """As many numbers in another arrangement."""
    mine, theirs = case.source(given), case.source(target)
    for node, text in ((given, mine), (target, theirs)):
        value = _value(case, node)
        if value is not None and value.dim() > 1 and value.shape[-1] == 1:
            yield Mend(node.span, f"{text}.squeeze(-1)", "the dimension of size 1 is dropped: one number for each pair")
    if isinstance(given, s.Name):
        yield Mend(target.span, f"{theirs}.reshape({mine}.shape)", "the targets in the arrangement of the predictions")
    yield Mend(target.span, f"{theirs}.reshape(-1)", "one target after the other")


def _cut_short(case: Case, given: s.Expression, target: s.Expression, numbers: re.Match[str] | None) -> Iterator[Mend]:
    if numbers is None:
        return
    n = min(int(numbers[1]), int(numbers[2]))
    longer = given if int(numbers[1]) > n else target
    if isinstance(longer, s.Name | s.Call):
        yield Mend(longer.span, f"{case.source(longer)}[:{n}]", f"the first {n} of each stand in pairs")


def class_numbers(case: Case) -> Diagnosis:
    """A class number that is none of the classes that the scores are for."""
    call = case.call
    given = argument_of(call, 0, "input") if call else None
    scores = _value(case, given)
    text = "The target holds the number of a class that there is no score for"
    if scores is not None and scores.dim() > 1:
        n = scores.shape[1]
        text += f": `{case.source(given)}` has scores for {n} classes, numbered from 0 to {n - 1}"  # type: ignore[arg-type]
    target = argument_of(call, 1, "target") if call else None
    if not isinstance(target, s.Name):
        return Diagnosis(text + ".")
    mends = [Mend(target.span, f"{target.name} - 1", "classes are numbered from 0")]
    return Diagnosis(text + ".", mends)


def weights_changed(case: Case, saver: int, changer: int) -> Iterator[Mend]:
    """A weight that a step changed before all backward passes were done: the step later, or the result anew."""
    for block in _blocks(case.program):
        made, changed, used = (_index(block, line) for line in (saver, changer, case.line))
        if changed is not None and used is not None and changed < used:
            yield _moved(case, block[changed], block[used])
        if made is not None and used is not None and all(isinstance(part, s.Assign) for part in block[made:used]):
            anew = "\n".join(case.source(part) for part in (*block[made:used], case.statement))
            yield Mend(case.statement.span, anew, "the result is computed anew, with the weights as they are now")


def _moved(case: Case, step: s.Statement, after: s.Statement) -> Mend:
    """The lines from one statement to another with the first as the last."""
    n_indent = step.span.column
    lines = case.program.text.split("\n")[step.span.line - 1 : after.span.end_line]
    n = step.span.end_line - step.span.line + 1
    text = "\n".join(line[n_indent:] for line in [*lines[n:], *lines[:n]])
    span = s.Span(step.span.line, n_indent, after.span.end_line, len(lines[-1].encode()))
    return Mend(span, text, "the weights change after all backward passes through them")


def _blocks(program: s.Program) -> Iterator[s.Block]:
    yield program.body
    for node in walk(program.body):
        for name in ("body", "otherwise", "final"):
            block = getattr(node, name, None)
            if isinstance(block, tuple):
                yield block


def _index(block: s.Block, line: int) -> int | None:
    """Which statement of a block a line belongs to."""
    return next((i for i, part in enumerate(block) if part.span.line <= line <= part.span.end_line), None)
