"""Tests of what requests hold."""
