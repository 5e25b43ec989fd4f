"""Classifying pictures."""
