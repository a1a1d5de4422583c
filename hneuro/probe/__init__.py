"""Labels, selection of neurons, choice of C, stability, controls."""
