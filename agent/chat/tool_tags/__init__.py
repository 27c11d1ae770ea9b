"""The dialects of ChatML whose calls stand in `<tool_call>` tags: function calls in JSON, or plain Python."""
