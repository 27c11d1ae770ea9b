"""A vLLM server of ours: its command line, its weights, its restarts."""
