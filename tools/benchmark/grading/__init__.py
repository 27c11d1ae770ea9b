"""Grade the answers of replies."""
