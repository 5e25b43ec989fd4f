"""Spoiling pictures on purpose, for training and tests."""
