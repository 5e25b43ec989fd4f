"""Restoring pictures: degraded in, clean out."""
