"""The embedded model organism: a synthetic world, and a tiny language model that was trained on it."""

from pathlib import Path

SHIPPED = Path(__file__).parent / "shipped" / "llama_s"  # `base` and `chat`, world.json and text.txt
