"""Where vLLM keeps the server that speaks OpenAI's API."""
