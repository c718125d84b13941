"""One picture under several prompts: scores, and drawings of what the model sees and attends to."""
