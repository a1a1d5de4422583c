"""hneuro: find the hallucination-associated neurons of a language model, and test whether they are causal."""

__version__ = "0.1.0"
