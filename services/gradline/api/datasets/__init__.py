"""Data sets: upload, read, delete."""
