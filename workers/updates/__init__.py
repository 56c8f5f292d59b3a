"""How a trial's tensors move in one training step."""
