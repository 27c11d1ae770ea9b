"""A session process: it reads cells, runs them, and leaves Python in order for the next one."""
