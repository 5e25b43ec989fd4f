"""Naming every pixel: pictures to label pictures."""
