"""What a model needs of which machine, and how fast it runs there."""
