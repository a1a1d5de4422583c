"""What an alpha sweep asks, and which answers comply."""
