"""Data sets, of the hub or of files; facts of the world; made-up things; splits."""
