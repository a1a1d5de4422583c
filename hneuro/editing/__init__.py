"""Edited checkpoints: which neurons, validation, the model card."""
