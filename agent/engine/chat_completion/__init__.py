"""Chat endpoints: a prompt is sent as messages, and what is streamed is read back into the text of the turn."""
