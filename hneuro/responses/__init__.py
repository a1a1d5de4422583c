"""Sampling (transformers, vLLM, a server, recorded): every draw has its own seed."""
