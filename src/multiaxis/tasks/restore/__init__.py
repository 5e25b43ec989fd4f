"""Restoring pictures and clips with MAXIM."""
