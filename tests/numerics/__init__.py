"""Tests of what is computed: against torch, against scikit-learn, and against itself."""
