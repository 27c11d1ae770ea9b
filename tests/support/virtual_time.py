"""The virtual clock, for tests that import it from here."""

from __future__ import annotations

from agent.virtual_time import VirtualLoop, run_virtual

__all__ = ["VirtualLoop", "run_virtual"]
