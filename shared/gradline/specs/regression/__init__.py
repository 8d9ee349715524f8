"""The parts of the spec of a regression, a module a noun."""
