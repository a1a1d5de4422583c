"""Detectors, baselines and controls on held-out questions."""
