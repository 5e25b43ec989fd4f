"""What a training costs, for the texts of recipes."""

from __future__ import annotations

from multiaxis.train.recipe import Run

_KEPT = 30e12  # operations a second that the text takes a device to keep up


def say_cost(gmacs: float, run: Run) -> str:
    """Say what each device computes: three forward passes a sample, four with recomputation.

    Parameters
    ----------
    gmacs : float
        Multiply-adds of a forward pass of one sample, 1e9.
    run : Run
    """
    passes = run.steps * run.batch * run.accumulate * (4 if run.recompute else 3)
    operations = 2e9 * gmacs * passes
    hours = operations / _KEPT / 3600
    return (
        f"Cost: {operations:.1e} operations on each device, {hours:,.0f} hours of one that keeps "
        "30 TFLOP/s; --dry-run measures yours."
    )
