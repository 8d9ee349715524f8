"""Functions of the program that yield: their statements are executed as far as the next value is asked for."""

from collections.abc import Generator
from typing import Any, Literal, cast

from gradline.autograd.evaluate import Evaluator
from gradline.autograd.values import Frame, UserFunction
from gradline.programs import statements as s

Signal = Literal["break", "continue", "return"] | None
"""How a statement hands control on; None is to the next one."""

Yielding = Generator[Any, None, Signal]


class Generators(Evaluator):
    """Executes statements that yield; those that do not are executed as ever."""

    def block(self, block: s.Block) -> Signal:
        raise NotImplementedError

    def execute(self, statement: s.Statement) -> Signal:
        raise NotImplementedError

    def generate(self, function: UserFunction, frame: Frame) -> Generator[Any, None, None]:
        """The values of one call, each computed when it is asked for, in the call's own frame."""
        walk = self._yielding(cast("s.Block", function.body))
        while True:
            outer, self.frame = self.frame, frame
            try:
                value = next(walk)
            except StopIteration:
                return
            finally:
                self.frame = outer
            yield value

    def _yielding(self, block: s.Block) -> Yielding:
        for statement in block:
            if not has_yield(statement):
                signal = self.execute(statement)
            elif isinstance(statement, s.Yield):
                signal = yield from self._value_of(statement)
            elif isinstance(statement, s.For):
                signal = yield from self._for_yielding(statement)
            elif isinstance(statement, s.While):
                signal = yield from self._while_yielding(statement)
            elif isinstance(statement, s.If):
                signal = yield from self._yielding(statement.body if self._holds(statement) else statement.otherwise)
            else:
                signal = self.execute(statement)  # says that it cannot stand there
            if signal is not None:
                return signal
        return None

    def _value_of(self, node: s.Yield) -> Yielding:
        self.budget.step()
        event = self.recorder.begin(node.span.line)
        value = None if node.value is None else self.value(node.value)
        self.recorder.end(event, self.frame)
        yield value
        return None

    def _for_yielding(self, node: s.For) -> Yielding:
        for item in self.iterable(self.value(node.iterable)):
            self.budget.step()
            self.assign(node.target, item)
            signal = yield from self._yielding(node.body)
            if signal == "break":
                return None
            if signal == "return":
                return signal
        return self.block(node.otherwise)

    def _while_yielding(self, node: s.While) -> Yielding:
        while self._holds(node):
            self.budget.step()
            signal = yield from self._yielding(node.body)
            if signal == "break":
                return None
            if signal == "return":
                return signal
        return self.block(node.otherwise)

    def _holds(self, node: s.If | s.While) -> bool:
        self.budget.step()
        return self.truth(self.value(node.test))


def has_yield(statement: s.Statement) -> bool:
    """Whether a statement yields, itself or within its blocks."""
    if isinstance(statement, s.Yield):
        return True
    blocks = (getattr(statement, name, ()) for name in ("body", "otherwise", "final"))
    inner = (part for block in blocks for part in block if isinstance(part, s.Statement))
    return not isinstance(statement, s.Define | s.DefineClass) and any(map(has_yield, inner))
