"""Policies judged on recorded samples, in virtual time."""
