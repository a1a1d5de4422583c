"""Judges and how far they agree."""
