"""Scores of a set of made pictures, by what a network sees in them and in real ones.

torchmetrics has these, and imports torchvision, transformers and matplotlib for them (3.6 s); tests
compare with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiaxis.errors import ConfigError, ShapeError
from multiaxis.score._check import FloatArray, finite_floats


def frechet_distance(real: NDArray[Any], made: NDArray[Any]) -> float:
    """Compare two sets by means and covariances: FID, where Inception v3 gives the features.

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``: 0 for equal sets, d^2 for one that is shifted
    by d. It is biased: fewer samples give larger distances, so compare sets of equal numbers only.
    Source: Heusel et al. (2017).

    Parameters
    ----------
    real, made : array, shape (samples, features)
        2 samples or more of each.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or a number is not finite.
    """
    real, made = _features(real, made)
    difference = real.mean(axis=0) - made.mean(axis=0)
    first, second = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (real, made))
    # The root of C1 C2 has the trace of the symmetric one of C1^(1/2) C2 C1^(1/2).
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    middle = np.linalg.eigvalsh(root @ second @ root).clip(min=0)
    spread = np.trace(first) + np.trace(second) - 2 * np.sqrt(middle).sum()
    return float(difference @ difference + spread)


def kernel_distance(real: NDArray[Any], made: NDArray[Any]) -> float:
    """Compare two sets by a cubic kernel over all pairs: KID. It has no bias, so small sets do.

    Around 0 for sets of one distribution, also below it. Source: Binkowski et al. (2018); over the
    whole sets at once, where others average over random parts.

    Parameters
    ----------
    real, made : array, shape (samples, features)
        2 samples or more of each.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or a number is not finite.
    """
    real, made = _features(real, made)
    within = sum(_mean_of_others(_kernel(x, x)) for x in (real, made))
    return float(within - 2 * _kernel(real, made).mean())


def inception_score(logits: NDArray[Any], splits: int = 10) -> tuple[float, float]:
    """Tell how sure a classifier is of each made picture, and how many classes it sees in all.

    ``exp(mean KL(p(class | picture) || p(class)))``: 1 at worst, the number of classes at best.
    Source: Salimans et al. (2016).

    Parameters
    ----------
    logits : array, shape (samples, classes)
    splits : int
        Parts that are scored by themselves.

    Returns
    -------
    (float, float)
        Mean and standard deviation (of the sample) over the parts; 0 for one part.

    Raises
    ------
    ShapeError
        If the logits have another shape, or a number is not finite.
    ConfigError
        If there are more parts than samples.
    """
    values = finite_floats("logits", logits)
    if values.ndim != 2:
        raise ShapeError(f"logits have shape {values.shape}: accepted is (samples, classes)")
    if not 1 <= splits <= len(values):
        raise ConfigError(f"splits is {splits}: accepted is 1 to the {len(values)} samples")
    values = values - values.max(axis=1, keepdims=True)
    logs = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
    scores: list[float] = []
    for part in np.array_split(logs, splits):
        of_all = np.logaddexp.reduce(part, axis=0) - np.log(len(part))
        scores.append(float(np.exp((np.exp(part) * (part - of_all)).sum(axis=1).mean())))
    return float(np.mean(scores)), float(np.std(scores, ddof=1)) if splits > 1 else 0.0


def _features(real: NDArray[Any], made: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    pair = finite_floats("real", real), finite_floats("made", made)
    shapes = [x.shape for x in pair]
    if any(len(s) != 2 or s[0] < 2 for s in shapes) or shapes[0][1] != shapes[1][1]:
        raise ShapeError(
            f"the features have the shapes {shapes[0]} and {shapes[1]}: accepted is (samples, "
            "features), with 2 samples or more and as many features in both"
        )
    return pair


def _kernel(a: FloatArray, b: FloatArray) -> FloatArray:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _mean_of_others(kernel: FloatArray) -> float:
    """Average over the pairs of different samples."""
    count = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (count * (count - 1)))
