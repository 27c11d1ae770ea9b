"""Tests of `agent/latex`."""
