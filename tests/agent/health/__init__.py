"""Tests of the health gate: what it takes for sound, and what it does where it finds no soundness."""
