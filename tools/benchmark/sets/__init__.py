"""Sets of questions: where they are published, how they are read, how they are put to a model."""
