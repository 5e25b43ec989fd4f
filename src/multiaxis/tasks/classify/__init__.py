"""Naming what pictures show, with MaxViT."""
