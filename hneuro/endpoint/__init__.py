"""Asking a model over HTTP, once."""
