"""How a family of models is spoken to: prompts, thinking, code blocks, kinds of questions."""
