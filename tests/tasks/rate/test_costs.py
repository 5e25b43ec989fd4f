"""Losses and heads equal their goldens; gradients are finite where roots are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from multiaxis.errors import ConfigError
from multiaxis.tasks.rate.config import HeadConfig, RaterConfig
from multiaxis.tasks.rate.costs import earth_movers, pair_entropy, smoothed, squared_movers
from multiaxis.tasks.rate.network import ClosenessNet, RatingNet, build_network
from multiaxis.tasks.rate.scale import AVA
from small_ratings import SMALL_BACKBONE

A = torch.tensor(
    [[0.01, 0.02, 0.05, 0.12, 0.25, 0.25, 0.15, 0.09, 0.04, 0.02]], dtype=torch.float64
)
B = torch.tensor(
    [[0.02, 0.04, 0.08, 0.16, 0.26, 0.20, 0.12, 0.07, 0.03, 0.02]], dtype=torch.float64
)
CONFIG = {name: value for name, value in SMALL_BACKBONE.items() if name != "num_classes"}


def network(**head: object) -> RatingNet | ClosenessNet:
    torch.manual_seed(0)
    config = HeadConfig(**head)  # pyright: ignore[reportArgumentType]
    return build_network("maxvit", config, config=CONFIG).eval()


def test_distances_equal_the_goldens() -> None:
    uniform, last = torch.full((1, 10), 0.1, dtype=torch.float64), torch.eye(10)[9:].double()
    assert earth_movers(uniform, last).item() == pytest.approx(0.5338539126015656, abs=1e-14)
    assert earth_movers(uniform, last, r=1).item() == pytest.approx(0.45, abs=1e-14)
    assert earth_movers(A, B).item() == pytest.approx(0.05594640292279748, abs=1e-14)
    assert squared_movers(A, B).item() == pytest.approx(0.05594640292279748**2, abs=1e-14)
    assert AVA.mean(A[0].numpy()) == pytest.approx(5.76, abs=1e-12)
    assert AVA.mean(B[0].numpy()) == pytest.approx(5.35, abs=1e-12)


def test_the_gradient_is_finite_where_both_are_equal() -> None:
    for r in (1.0, 2.0):
        p = A.clone().requires_grad_()
        earth_movers(p, A.clone(), r).sum().backward()
        assert p.grad is not None
        assert torch.isfinite(p.grad).all()
        assert not p.grad.any()
    logits = torch.zeros(2, 10, dtype=torch.float64, requires_grad=True)
    target = torch.stack([torch.full((10,), 0.1, dtype=torch.float64), A[0]])  # one equal, one not
    torch.autograd.gradcheck(lambda z: earth_movers(z.softmax(1), target)[1:], logits, atol=1e-6)
    earth_movers(logits.softmax(1), target).sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[1].any()


@given(st.floats(-8, 8), st.floats(0, 1))
def test_cross_entropies_are_those_of_both_models(difference: float, share: float) -> None:
    d, t = torch.tensor([[difference], [share]], dtype=torch.float64)
    for model, chance in (
        ("bradley-terry", 1 / (1 + np.exp(-difference))),
        ("thurstone", norm.cdf(difference)),
    ):
        # The other side's chance is 1 less this one's, which floats do not hold near 1.
        other = norm.cdf(-difference) if model == "thurstone" else 1 / (1 + np.exp(difference))
        wanted = -(share * np.log(chance) + (1 - share) * np.log(other))
        found = pair_entropy(d, t, model).item()  # pyright: ignore[reportArgumentType]
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_a_tie_costs_least_at_equal_scores_and_smoothing_moves_targets() -> None:
    d = torch.linspace(-2, 2, 41)
    cost = pair_entropy(d, torch.full((41,), 0.5))
    assert cost.argmin() == 20
    target, by_rank = torch.tensor([1.0, 0.5]), torch.tensor([0.2, 0.9])
    assert torch.equal(smoothed(target, by_rank, 0), target)
    torch.testing.assert_close(smoothed(target, by_rank, 0.25), torch.tensor([0.8, 0.6]))


def test_the_papers_head_is_pool_dropout_layer_softmax() -> None:
    net = network()
    assert isinstance(net, RatingNet)
    x = torch.randn(2, 3, 40, 33)
    last = net.backbone(x)[-1]
    wanted = last.mean(dim=(2, 3)) @ net.head.weight.T + net.head.bias
    torch.testing.assert_close(net(x), wanted)
    assert net.dropout.p == 0.75
    assert net.head.out_features == 10
    net.train()
    assert not torch.equal(net.answer(last.mean((2, 3))), net.answer(last.mean((2, 3))))


@pytest.mark.parametrize("head", [{}, {"kind": "score"}, {"pool": "levels"}])
def test_every_parameter_gets_a_gradient(head: dict[str, object]) -> None:
    """Else processes that share gradients would stop."""
    net = network(**head).train()
    net(torch.randn(2, 3, 32, 32)).square().mean().backward()
    assert not [name for name, x in net.named_parameters() if x.grad is None]


def test_equal_pictures_are_nearest() -> None:
    net = network(kind="closeness")
    x = torch.rand(2, 3, 32, 48) * 2 - 1
    with torch.no_grad():
        net.weight.add_(torch.randn_like(net.weight))  # pyright: ignore[reportArgumentType]
        near, far = net(x, x + 0.02 * torch.randn_like(x)), net(x, x + 0.3 * torch.randn_like(x))
        assert (net(x, x) < near).all()
        assert (near < far).all()
    net.train()
    net(x, -x).sum().backward()
    assert not [name for name, p in net.named_parameters() if p.grad is None]


def test_a_configuration_survives_json_and_refuses_nonsense() -> None:
    import json
    from dataclasses import asdict

    config = network(pool="levels", views=("whole", "statistics")).config
    assert RaterConfig.from_fields(json.loads(json.dumps(asdict(config)))) == config
    for wrong, said in (
        ({"kind": "vote"}, "did you mean votes"),
        ({"views": ()}, "one or more, each once"),
        ({"views": ("all",)}, "unknown view"),
        ({"dropout": 1.0}, "dropout"),
        ({"size": 8}, "size"),
        ({"std": (1, 1, 0)}, "normalises"),
    ):
        with pytest.raises(ConfigError, match=said):
            HeadConfig(**wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="no configuration of a rater"):
        RaterConfig.from_fields({"head": {}})
