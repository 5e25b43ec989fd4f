"""Whole jobs that join restoring, scoring and files."""
