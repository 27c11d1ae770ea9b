"""Recordings for `tools.replay` from your own lines and from the logs of other evaluation programs."""
