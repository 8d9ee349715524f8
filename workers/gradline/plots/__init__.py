"""Figures of a trained job, drawn from its numbers alone: no torch, no network, the same pixels every time."""
