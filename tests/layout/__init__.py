"""The shape of the source: each test states one rule and lists all that offends against it."""
