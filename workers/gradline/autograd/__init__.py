"""Runs programs of the autograd language on real torch tensors, and tells what autograd did."""
