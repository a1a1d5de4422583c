"""Loading, where the neurons are, the hooks (observe, intervene), chat prompts."""
