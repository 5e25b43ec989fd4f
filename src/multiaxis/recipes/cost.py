"""What a training costs, for the texts of recipes."""

from __future__ import annotations

from multiaxis.recipes.recipe import Run

GMACS = {
    "maxim_s2": {256: 96.62},
    "maxim_s3": {256: 152.08},
    "maxvit_tiny": {224: 5.55, 384: 17.30, 512: 32.87},
    "maxvit_small": {224: 11.58, 384: 35.54, 512: 66.34},
    "maxvit_base": {224: 23.90, 384: 73.18, 512: 136.25},
    "maxvit_large": {224: 43.50, 384: 131.72, 512: 242.38},
    "maxvit_xlarge": {224: 97.22, 384: 291.53},
}
"""Multiply-adds of a forward pass of one picture, 1e9, by its side; counted (tests/train)."""
_KEPT = 30e12  # operations a second that the text takes a device to keep up


def say_cost(model: str, side: int, run: Run) -> str:
    """Say what each device computes: three forward passes a sample, four with recomputation."""
    passes = run.steps * run.batch * run.accumulate * (4 if run.recompute else 3)
    operations = 2e9 * GMACS[model][side] * passes
    hours = operations / _KEPT / 3600
    return (
        f"Cost: {operations:.1e} operations on each device, {hours:,.0f} hours of one that keeps "
        "30 TFLOP/s; --dry-run measures yours."
    )
