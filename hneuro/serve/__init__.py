"""The live detector: an OpenAI-compatible server that says, token by token, how likely its answers are made up."""
