"""Pure functions from tensors to tensors."""
