"""What runs inside the sandbox's own processes: it needs nothing of the agent but this directory and the protocol."""
