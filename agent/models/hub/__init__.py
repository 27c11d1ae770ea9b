"""Models on the Hugging Face Hub: their names, their files and repositories, and what goes wrong with them."""
