"""The embedded model organism: a synthetic world, and a tiny language model trained on it."""
