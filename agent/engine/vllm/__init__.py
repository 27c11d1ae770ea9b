"""A vLLM server that we start: its command line, its weights, its restarts."""
