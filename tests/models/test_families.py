"""What families say of themselves."""

from __future__ import annotations

from typing import get_args

import pytest
from torch import nn

import multiaxis
from multiaxis.errors import ConfigError
from multiaxis.models.families import FAMILIES, family_of, parameter_groups
from multiaxis.zoo import MaximName, MaxViTName


def test_overloads_name_every_model() -> None:
    for names, family in [(MaximName, "maxim"), (MaxViTName, "maxvit")]:
        assert set(get_args(names)) == {family, *FAMILIES[family].variants}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_record_answers_for_its_model(name: str) -> None:
    small = {
        "maxim": {"features": 4, "block_size_hr": (2, 2)},
        "maxvit": {"widths": (32, 32, 32, 32)},
    }
    model = multiaxis.create_model(name, **small[name])
    family = family_of(model)
    assert family is FAMILIES[name]
    assert family.title in family.describe(model.config)
    assert family.find_variant(model.config) is None
    assert all(family.find_variant(row) == key for key, row in family.variants.items())
    groups = parameter_groups(model, lr=1.0, weight_decay=0.1)
    grouped = sorted(id(p) for group in groups for p in group["params"])
    assert grouped == sorted(map(id, model.parameters()))
    assert (family.streamed is None) == (name == "maxvit")


def test_what_a_family_cannot_do_is_refused() -> None:
    model = multiaxis.create_model("maxim", features=4, num_stages=1)
    with pytest.raises(ConfigError, match=r"layer_decay is 0\.8.*accepted is 1"):
        parameter_groups(model, lr=1.0, weight_decay=0.1, layer_decay=0.8)
    with pytest.raises(ConfigError, match="a MaxViT has no streamed form"):
        multiaxis.streamed(multiaxis.create_model("maxvit_pico"))
    with pytest.raises(ConfigError, match="cannot use a Linear"):
        family_of(nn.Linear(2, 2))
