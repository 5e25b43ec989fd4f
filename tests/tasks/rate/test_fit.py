"""Heads on descriptions of several views."""

from __future__ import annotations

import numpy as np

from multiaxis.tasks.rate.fit import Space
from multiaxis.tasks.rate.learn import learn_votes
from multiaxis.tasks.rate.scale import STARS


def test_each_view_counts_alike() -> None:
    """The spread of all items is shared equally, and a layer goes back to raw numbers."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 44)) * np.geomspace(1, 1e3, 44) + 5
    space = Space(features, (40, 4))
    normal = (features - space.mean) / space.scale
    spread = normal.var(axis=0)
    np.testing.assert_allclose([spread[:40].sum(), spread[40:].sum()], 0.5, rtol=1e-4)
    x = space(features)
    layer = space.layer(x[:1], x[:1, 0])
    np.testing.assert_allclose(layer(features)[:, 0], (x @ x[0] + x[0, 0]).numpy(), atol=1e-9)


def test_a_few_numbers_that_tell_are_heard_among_hundreds_that_do_not() -> None:
    rng = np.random.default_rng(3)
    network, classical = rng.normal(size=(60, 400)), rng.normal(size=(60, 4))
    order = classical[:, 0].argsort().argsort()
    shares = np.eye(5)[order * 5 // 60]
    features = np.concatenate([network, classical], axis=1)
    groups = list(range(60))
    alike = learn_votes(features, shares, STARS, groups, views=(400, 4))[1]
    drowned = learn_votes(features, shares, STARS, groups)[1]
    assert alike.correlation > 0.7
    assert alike.correlation > drowned.correlation + 0.2
