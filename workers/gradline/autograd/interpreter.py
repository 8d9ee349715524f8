"""Executes the language's statements."""

import gc
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from gradline.autograd import calls
from gradline.autograd.assignments import Assignments
from gradline.autograd.generators import Signal
from gradline.autograd.limits import Budget, LimitReached
from gradline.autograd.record.recorder import Recorder
from gradline.autograd.values import Frame, UserFunction
from gradline.errors import GradlineError
from gradline.programs import statements as s

UNCATCHABLE = (LimitReached, GradlineError)
"""What no `except` of a program catches."""


_COMPOUND = (s.For, s.While, s.If, s.With, s.Try)
"""Statements whose parts are recorded one by one."""


class Interpreter(Assignments):
    """Runs one program. After an error, `failed_at` holds the statement and the piece of it that failed."""

    def __init__(self, program: s.Program, budget: Budget, recorder: Recorder) -> None:
        super().__init__(budget, recorder)
        self.program = program
        self.failed_at: tuple[s.Statement, s.Node | None] | None = None
        self.failed_frame: Frame | None = None
        self._returned: Any = None

    def run(self) -> None:
        """Runs the program to its end or its error.

        Python's collector rests meanwhile: a trace only ever grows, and looking through it costs a tenth of the time.
        Where memory runs short, the budget calls it.
        """
        was_collecting = gc.isenabled()
        gc.disable()
        try:
            self.block(self.program.body)
        finally:
            self.has_ended = True
            if was_collecting:
                gc.enable()

    def release(self) -> None:
        """Lets go of every tensor: a hook of the program makes a cycle through torch that is never collected."""
        for frame in (self.frame, self.failed_frame):
            if frame is not None:
                frame.names.clear()
        self.failed_at = self.failed_frame = self.spot = None
        self.recorder.release()

    def execute(self, statement: s.Statement) -> Signal:
        self.spot = None
        event = None if isinstance(statement, _COMPOUND) else self.recorder.begin(statement.span.line)
        try:
            self.budget.step()
            signal = _EXECUTE[type(statement)](self, statement)
        except Exception:
            if self.failed_at is None:
                self.failed_at, self.failed_frame = (statement, self.spot), self.frame
            self.recorder.failed(event, self.frame)
            raise
        if event is not None:
            self.recorder.end(event, self.frame)
        return signal

    def block(self, block: s.Block) -> Signal:
        for statement in block:
            signal = self.execute(statement)
            if signal is not None:
                return signal
        return None

    def _evaluate(self, node: s.Evaluate) -> Signal:
        value = self.value(node.value)
        if self.program.is_transcript and value is not None and self.frame.parent is None:
            calls.show(self, value)
        return None

    def _for(self, node: s.For) -> Signal:
        for item in self.iterable(self.value(node.iterable)):
            self.budget.step()
            event = self.recorder.begin(node.span.line)
            self.assign(node.target, item)
            self.recorder.end(event, self.frame)
            signal = self.block(node.body)
            if signal == "break":
                return None
            if signal == "return":
                return signal
        return self.block(node.otherwise)

    def _while(self, node: s.While) -> Signal:
        while self._condition(node):
            self.budget.step()
            signal = self.block(node.body)
            if signal == "break":
                return None
            if signal == "return":
                return signal
        return self.block(node.otherwise)

    def _if(self, node: s.If) -> Signal:
        return self.block(node.body if self._condition(node) else node.otherwise)

    def _condition(self, node: s.If | s.While) -> bool:
        event = self.recorder.begin(node.span.line)
        holds = self.truth(self.value(node.test))
        self.recorder.condition(holds)
        self.recorder.end(event, self.frame)
        return holds

    def _with(self, node: s.With) -> Signal:
        with ExitStack() as stack:
            for expression, target in node.contexts:
                entered = stack.enter_context(calls.as_context(self.value(expression)))
                if target is not None:
                    self.assign(target, entered)
            return self.block(node.body)

    def _try(self, node: s.Try) -> Signal:
        frame = self.frame
        try:
            signal = self.block(node.body)
            if signal is None:
                signal = self.block(node.otherwise)
        except UNCATCHABLE:
            raise
        except Exception as error:
            self.frame = frame
            handler = next((h for h in node.handlers if self._handles(h, error)), None)
            if handler is None:
                raise
            self.recorder.caught(self.failed_at, error)
            self.failed_at = None
            signal = self._handle(handler, error)
        finally:
            final = self.block(node.final) if node.final else None
        return final or signal

    def _handles(self, handler: s.Handler, error: Exception) -> bool:
        if handler.kinds is None:
            return True
        kinds = self.value(handler.kinds)
        return isinstance(error, kinds if isinstance(kinds, tuple) else (kinds,))

    def _handle(self, handler: s.Handler, error: Exception) -> Signal:
        if handler.name is not None:
            self.frame.names[handler.name] = error
        try:
            return self.block(handler.body)
        finally:
            if handler.name is not None:
                self.frame.names.pop(handler.name, None)

    def _define(self, node: s.Define) -> Signal:
        decorators = tuple(calls.decorator(self.value(decorator)) for decorator in node.decorators)
        self.frame_of(node.name).names[node.name] = self.function(
            node.name,
            node.parameters,
            node.body,
            globals=node.globals,
            decorators=decorators,
            nonlocals=node.nonlocals,
            is_generator=node.is_generator,
            binding=node.binding,
        )
        return None

    def _define_class(self, node: s.DefineClass) -> Signal:
        """Runs the body in a frame of its own, whose names become the members; methods do not see that frame."""
        base = object if node.base is None else self.value(node.base)
        outer, self.frame = self.frame, Frame({}, self.frame)
        try:
            for statement in node.body:
                self.execute(statement)
            members = self.frame.names
        finally:
            self.frame = outer
        for function in members.values():
            if isinstance(function, UserFunction) and function.frame.names is members:
                function.frame = outer
        outer.names[node.name] = calls.make_class(node, base, members)
        return None

    def call_function(self, function: UserFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls a `def` or `lambda` in a frame of its own."""
        frame = Frame(calls.bind(function, args, kwargs), function.frame, function.globals, function)
        if function.is_generator:
            return self.generate(function, frame)
        outer, self.frame = self.frame, frame
        self.call_depth += 1
        self.budget.step()
        try:
            if self.call_depth > self.budget.limits.call_depth:
                raise LimitReached("call_depth", f"functions call one another more than {self.call_depth - 1} deep")
            with ExitStack() as stack:
                for decorator in function.decorators:
                    stack.enter_context(decorator())
                return self._body(function.body)
        finally:
            self.call_depth -= 1
            self.frame = outer

    def _body(self, body: s.Block | s.Expression) -> Any:
        if not isinstance(body, tuple):
            return self.value(body)
        signal = self.block(body)
        value, self._returned = self._returned, None
        return value if signal == "return" else None

    def _return(self, node: s.Return) -> Signal:
        self._returned = None if node.value is None else self.value(node.value)
        return "return"

    def _yield(self, _node: s.Yield) -> Signal:
        raise RuntimeError("`yield` may not stand in a `try` of a program")

    def _jump(self, node: s.Jump) -> Signal:
        return None if node.kind == "pass" else node.kind

    def _assert(self, node: s.Assert) -> Signal:
        if not self.truth(self.value(node.test)):
            raise self.call_value(AssertionError, [] if node.message is None else [self.value(node.message)], {})
        return None

    def _raise(self, node: s.Raise) -> Signal:
        error = RuntimeError("No active exception to reraise") if node.error is None else self.value(node.error)
        if isinstance(error, type) and issubclass(error, Exception):
            error = error()
        raise error if isinstance(error, Exception) else TypeError("exceptions must derive from BaseException")


_I = Interpreter
_EXECUTE: dict[type, Callable[[Interpreter, Any], Signal]] = {
    s.Assign: _I._assign, s.Augment: _I._augment, s.Evaluate: _I._evaluate, s.For: _I._for, s.While: _I._while,
    s.If: _I._if, s.With: _I._with, s.Try: _I._try, s.Define: _I._define, s.DefineClass: _I._define_class,
    s.Yield: _I._yield,
    s.Return: _I._return, s.Jump: _I._jump, s.Delete: _I._delete, s.Assert: _I._assert, s.Raise: _I._raise,
}  # fmt: skip
