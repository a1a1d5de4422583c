"""Other signals on the same answers, and what is left of the neurons when they are held fixed."""
