"""Tests of reading and preprocessing data."""
