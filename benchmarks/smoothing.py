"""Pairs smoothed by global ranks: does it help a scorer? A simulation with a known truth.

    python benchmarks/smoothing.py

200 items have ten features, and strengths that follow these and something of their own. Pairs have
three votes each. A linear scorer learns from mixtures of votes and of what Bradley-Terry strengths
say, and is compared with the truth of 200 other items. Five seeds.
"""

from __future__ import annotations

import argparse

import numpy as np

from multiaxis.score.correlation import rank_correlation, right_pairs
from multiaxis.score.preferences import fit_strengths
from multiaxis.tasks.rate.fit import fit_scores

ITEMS, FEATURES, VOTES, SEEDS = 200, 10, 3, 5
MIXTURES = (0.0, 0.3, 0.5, 0.8, 1.0)
PENALTY = 1e-3


def trial(pairs: int, seed: int) -> list[tuple[float, float]]:
    rng = np.random.default_rng(seed)
    features, weight = rng.normal(size=(2 * ITEMS, FEATURES)), rng.normal(size=FEATURES)
    truth = features @ weight / 2 + 0.7 * rng.normal(size=2 * ITEMS)
    rows = np.array([rng.permutation(ITEMS)[:2] for _ in range(pairs)])
    chance = 1 / (1 + np.exp(truth[rows[:, 1]] - truth[rows[:, 0]]))
    share = rng.binomial(VOTES, chance) / VOTES
    wins = VOTES * np.stack([share, 1 - share], axis=1)
    used, places = np.unique(rows, return_inverse=True)
    strength = np.zeros(ITEMS)
    strength[used] = fit_strengths(places.reshape(-1, 2), wins, len(used), prior=0.5).values
    ranked = 1 / (1 + np.exp(strength[rows[:, 1]] - strength[rows[:, 0]]))
    found = []
    for mixture in MIXTURES:
        target = (1 - mixture) * share + mixture * ranked
        both = VOTES * np.stack([target, 1 - target], axis=1)
        scores = fit_scores(features[:ITEMS], rows, both, PENALTY)(features[ITEMS:])[:, 0]
        new = truth[ITEMS:]
        found.append((rank_correlation(scores, new), right_pairs(scores, new)))
    return found


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    for pairs in (300, 600, 3000):
        found = np.array([trial(pairs, seed) for seed in range(SEEDS)])
        for k, mixture in enumerate(MIXTURES):
            (srcc, right), (spread, _) = found[:, k].mean(axis=0), found[:, k].std(axis=0)
            print(f"{pairs} pairs, {mixture}: SRCC {srcc:.4f} +- {spread:.4f}, pairs {right:.4f}")


if __name__ == "__main__":
    main()
