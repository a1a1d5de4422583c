"""CETT, pooled inside the hook."""
