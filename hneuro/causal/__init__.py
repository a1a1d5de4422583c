"""The alpha sweep, its benchmarks and its effects."""
