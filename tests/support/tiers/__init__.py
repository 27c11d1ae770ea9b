"""The tiers of the tests: what `make quick` runs, and what it leaves to `make test`."""
