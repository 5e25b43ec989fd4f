"""Predict and refine: a restored picture, and details drawn for it by diffusion."""
