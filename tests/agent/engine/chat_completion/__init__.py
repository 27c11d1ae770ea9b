"""Tests of chat endpoints."""
