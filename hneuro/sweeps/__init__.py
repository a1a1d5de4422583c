"""Sweeps: what is planned, what is done, and how the rest is launched."""
