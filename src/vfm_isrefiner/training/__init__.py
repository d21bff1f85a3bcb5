"""Training with Lightning: the module, the click simulation before each step, the evaluation after each epoch."""
