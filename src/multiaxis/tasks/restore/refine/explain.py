"""Answers that explain their input: what is known of the degradation corrects each estimate.

In the manner of Kawar et al., Denoising Diffusion Restoration Models (2201.11793): each step's
estimate of the picture is replaced by a near one that agrees with the input. Frames are (batch,
height, width, channels), values in [0, 1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone uses)

from multiaxis.tasks.restore.ensemble import Frames
from multiaxis.tasks.restore.refine.consistency import Consistency, Downscale, Light, Noise

_REACH = 8.0  # pixels, standard deviation of the Gaussian that parts detail from light
_SLACK = 1.1  # in its window, the root mean square of true noise varies by 1.4 %, in corners by 3 %
_PASSES = 20
_HALVINGS = 30  # of an interval of about 2, down to the rounding of float32


def correct(rule: Consistency | None, picture: Frames, given: Frames) -> Frames:
    """Correct the picture that a step believes in.

    Parameters
    ----------
    rule : Consistency or None
    picture : Tensor, shape (batch, height, width, channels)
    given : Tensor, of that shape
        The input.
    """
    if isinstance(rule, Noise):
        return within_noise(picture, given, rule.sigma / 255)
    if isinstance(rule, Downscale):
        return _with_means(picture, given, rule.factor)
    return picture


def finish(rule: Consistency | None, answer: Frames, given: Frames, predicted: Frames) -> Frames:
    """Correct an answer; arguments are `correct`'s, and what the predictor made of the input."""
    if isinstance(rule, Light):
        return answer - blur(answer - predicted, _REACH)
    if isinstance(rule, Downscale):
        return with_means(answer, given, rule.factor)
    return correct(rule, answer, given)


def within_noise(picture: Frames, given: Frames, sigma: float) -> Frames:
    """Draw a picture towards the input where noise does not explain their difference.

    There, the root mean square of the difference, in a Gaussian window of 8 pixels and over the
    colours, is more than 1.1 sigma, which true noise is by no chance.

    Parameters
    ----------
    picture, given : Tensor, shape (batch, height, width, channels)
    sigma : float
        Standard deviation of the noise.

    Returns
    -------
    Tensor, of that shape
        The picture itself where noise explains the difference.
    """
    limit = _SLACK * sigma
    for _ in range(_PASSES):  # what one pass leaves beside strong differences, the next takes
        difference = given - picture
        energy = blur(difference.square().mean(dim=-1, keepdim=True), _REACH).clamp(min=1e-12)
        share = (limit / energy.sqrt()).clamp(max=1)
        if bool((share > 0.99).all()):
            break
        picture = torch.where(share < 1, given - share * difference, picture)
    return picture


def with_means(picture: Frames, given: Frames, factor: int) -> Frames:
    """Give the nearest picture in [0, 1] whose means over squares are the input's.

    It is ``clip(picture + shift)`` with one shift for each square and colour. Squares at the right
    and at the bottom may be cut; their means are over what is there.

    Parameters
    ----------
    picture, given : Tensor, shape (batch, height, width, channels)
    factor : int
        Side of the squares, pixels.
    """
    near = _with_means(picture, given, factor)
    if bool(((near >= 0) & (near <= 1)).all()):
        return near
    wanted = _means(given.clamp(0, 1), factor)
    low = torch.full_like(wanted, -float(picture.max()))
    high = torch.full_like(wanted, 1 - float(picture.min()))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        shifted = picture + _spread(middle, factor, picture)
        is_dark = _means(shifted.clamp(0, 1), factor) < wanted
        low, high = torch.where(is_dark, middle, low), torch.where(is_dark, high, middle)
    return (picture + _spread((low + high) / 2, factor, picture)).clamp(0, 1)


def _with_means(picture: Frames, given: Frames, factor: int) -> Frames:
    """Project a picture, whatever its values, to the means of the input."""
    return picture + _spread(_means(given - picture, factor), factor, picture)


def _means(frames: Frames, factor: int) -> Frames:
    """Take the mean of each square, a cut one's over what is there."""
    x = F.avg_pool2d(frames.movedim(-1, 1), factor, ceil_mode=True, count_include_pad=False)
    return x.movedim(1, -1)


def _spread(means: Frames, factor: int, like: Frames) -> Frames:
    """Give each pixel the value of its square."""
    wide = means.repeat_interleave(factor, dim=1).repeat_interleave(factor, dim=2)
    return wide[:, : like.shape[1], : like.shape[2]]


def blur(frames: Frames, deviation: float) -> Frames:
    """Blur frames by a Gaussian; at borders, over what is there.

    Parameters
    ----------
    frames : Tensor, shape (batch, height, width, channels)
    deviation : float
        Pixels.
    """
    reach = round(3 * deviation)
    places = torch.arange(-reach, reach + 1, device=frames.device, dtype=frames.dtype)
    weights = torch.exp(-(places**2) / (2 * deviation**2))
    x = frames.movedim(-1, 1).flatten(0, 1)[:, None]
    x, there = (
        F.conv2d(
            F.conv2d(y, weights[None, None, :, None], padding=(reach, 0)),
            weights[None, None, None, :],
            padding=(0, reach),
        )
        for y in (x, torch.ones_like(x[:1]))
    )
    return (x / there)[:, 0].unflatten(0, (len(frames), -1)).movedim(1, -1)
