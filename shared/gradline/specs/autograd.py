"""The spec of an `autograd` job: a program, parsed when the job is submitted."""

from typing import Annotated, Any

from pydantic import Field, PrivateAttr

from gradline.errors import InputFault, InvalidInput
from gradline.programs import Program, ProgramRejected, parse
from gradline.programs.limits import MAX_CHARACTERS
from gradline.specs.base import Spec


class ProgramLimits(Spec):
    """Bounds on the run; past one the job fails with code `limit_reached` and the limit's name."""

    statements: int = Field(200_000, ge=1, le=1_000_000)
    """Statements executed, loop turns and calls included."""
    tensor_elements: int = Field(1_000_000, ge=1, le=10_000_000)
    """Of one tensor."""
    memory_mib: int = Field(1_024, ge=64, le=8_192)
    """By which the worker may grow."""
    seconds: float = Field(60.0, gt=0.0, le=600.0)


class AutogradSpec(Spec):
    """A program of the autograd language, and what is wanted beside its run."""

    program: Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]
    """The text as it was pasted: prompts, fences and a common indentation are taken away."""
    limits: ProgramLimits = ProgramLimits()
    gradient_checks: bool = True
    """Compare every gradient with finite differences in float64."""
    symbolic: bool = True
    """Derive scalar expressions of moderate size in symbols."""
    pictures: bool = True
    """Draw `graph.svg` and `steps.html`."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Of the random numbers drawn before the program calls `torch.manual_seed`."""

    _parsed: Program = PrivateAttr()

    def model_post_init(self, _context: Any, /) -> None:
        """Parses the program; raises InvalidInput with each fault as `line L, column C: reason`."""
        try:
            self._parsed = parse(self.program)
        except ProgramRejected as rejected:
            faults = [InputFault("spec.program", fault.source, str(fault)) for fault in rejected.faults]
            raise InvalidInput(faults) from rejected

    @property
    def parsed(self) -> Program:
        """The program as typed statements."""
        return self._parsed
