"""Bounds on a program's text; those on its run are part of the spec."""

MAX_CHARACTERS = 20_000
MAX_TOKENS = 10_000
MAX_TOKENS_PER_LINE = 2_000
"""Of a logical line: a list of numbers may be long."""
MAX_DEPTH = 100
"""Of blocks and expressions within one another; chains such as a + b + c ... count each term."""
MAX_BRACKETS = 40
"""Of brackets within one another."""
MAX_FAULTS = 20
"""Faults listed; a program with more is far from one."""
MAX_NUMBER_DIGITS = 400
"""Of one number as it is written."""
