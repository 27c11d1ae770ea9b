"""Lists of problems with any text that a file can hold."""

from __future__ import annotations

from hypothesis import strategies as st

from agent.types import Problem

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from('",\r\n; ')
TEXTS = st.text(CHARACTERS, min_size=1).filter(str.strip)
PROBLEMS = st.lists(st.builds(Problem, TEXTS, TEXTS, st.none() | st.integers()), min_size=1, unique_by=lambda p: p.id)
