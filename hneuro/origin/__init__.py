"""Backward transfer, parameter drift, checkpoints on the way to the base model."""
