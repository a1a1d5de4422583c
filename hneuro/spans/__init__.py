"""Which tokens state the answer."""
