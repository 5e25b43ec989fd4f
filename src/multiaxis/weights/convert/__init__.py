"""Foreign names and layouts to ours, as tables."""
