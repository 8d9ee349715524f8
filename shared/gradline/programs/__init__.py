"""The autograd language: text parsed into typed statements, and refused with line, column and reason otherwise."""

from gradline.programs.faults import ProgramFault, ProgramRejected
from gradline.programs.parse import parse
from gradline.programs.statements import Program

__all__ = ["Program", "ProgramFault", "ProgramRejected", "parse"]
