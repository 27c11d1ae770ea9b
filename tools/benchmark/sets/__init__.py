"""Question sets: where they are published, how they are read, how they are presented to a model."""
