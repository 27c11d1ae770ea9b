"""Real servers with scripted behaviour, and the real vLLM's environment."""
