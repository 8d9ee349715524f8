"""Tests of the training library's parts."""
