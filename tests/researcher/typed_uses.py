"""What an editor accepts, and what it marks red: pyright reads this file, nobody runs it.

Each wrong use is excused by the rule that it breaks. An excuse that nothing needs is an error too.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from pathlib import Path
from typing import Any, assert_type

import torch
from torch import Tensor, nn

import multiaxis
from multiaxis import Classifier, Maxim, MaxViT, create_model, load_weights
from multiaxis.deploy.fold import fold
from multiaxis.models.maxim.config import MaximConfig
from multiaxis.models.maxvit.backbone import Backbone
from multiaxis.models.maxvit.config import MaxViTConfig
from multiaxis.weights.load import convert_weights


def right() -> None:
    maxvit = create_model("maxvit_tiny", weights="maxvit_tiny_tf_224.in1k", num_classes=10)
    assert_type(maxvit, MaxViT)
    assert_type(maxvit.config, MaxViTConfig)
    assert_type(maxvit.config.drop_path, float)
    assert_type(maxvit.forward_features(torch.zeros(1, 3, 32, 32)), Tensor)
    assert_type(create_model("maxim", features=8).config, MaximConfig)
    assert_type(create_model("maxvit", features_only=True, out_indices=(1, 2)), Backbone)
    assert_type(create_model(weights=Path("a.safetensors")), Maxim | MaxViT)
    create_model("maxvit_pico", widths=[16, 32], window_policy="fit", image_size=(64, 96))
    for name in multiaxis.list_models("maxvit*"):
        create_model(name)
    options: dict[str, Any] = {"num_classes": 3}
    create_model("maxvit_pico", **options)

    assert_type(fold(maxvit), MaxViT)
    assert_type(fold(create_model("maxim_s1")), Maxim)
    assert_type(MaxViT.from_pretrained("me/flowers", num_classes=3), MaxViT)
    assert_type(Classifier.from_pretrained("me/flowers", device="cpu"), Classifier)
    maxvit.save("a.safetensors")
    assert_type(
        load_weights(maxvit, {"model": maxvit.state_dict()}, skip=["head"]).fresh, list[str]
    )
    streamed = multiaxis.streamed(create_model("maxim_s1"), "4GB")
    streamed(torch.zeros(1, 3, 64, 64))


def wrong_names() -> None:
    create_model("maxvit_tinny")  # pyright: ignore[reportCallIssue, reportArgumentType]
    create_model("maxvit_tiny_tf_224")  # pyright: ignore[reportCallIssue, reportArgumentType]
    create_model()  # pyright: ignore[reportCallIssue]
    Classifier("maxvit_huge")  # pyright: ignore[reportArgumentType]
    convert_weights("a.npz", "b.safetensors", naming="keras")  # pyright: ignore[reportArgumentType]


def wrong_fields() -> None:
    create_model("maxvit_tiny", num_clases=3)  # pyright: ignore[reportCallIssue]
    create_model("maxvit_tiny", features=8)  # pyright: ignore[reportArgumentType]
    create_model("maxim_s1", num_classes=3)  # pyright: ignore[reportArgumentType]
    create_model("maxvit_tiny", window_policy="crop")  # pyright: ignore[reportArgumentType]
    create_model("maxvit_tiny", num_classes="3")  # pyright: ignore[reportArgumentType]
    create_model("maxim_s1", features_only=True)  # pyright: ignore[reportCallIssue, reportArgumentType]
    MaxViTConfig(activation="swish")  # pyright: ignore[reportArgumentType]
    MaxViTConfig(depth=3)  # pyright: ignore[reportCallIssue]
    str(create_model("maxvit_pico").config.window_sise)  # pyright: ignore[reportAttributeAccessIssue]
    Classifier(dtype="float64")  # pyright: ignore[reportArgumentType]


def wrong_methods(maxvit: MaxViT, maxim: Maxim) -> None:
    x = torch.zeros(1, 3, 32, 32)
    maxvit.forward_pyramids(x)  # pyright: ignore[reportCallIssue]
    maxim.forward_pyramid(x)  # pyright: ignore[reportCallIssue]
    create_model("maxim_s1").reset_classifier(3)  # pyright: ignore[reportCallIssue]
    fold(maxvit).remove_heads([1])  # pyright: ignore[reportCallIssue]
    create_model("maxvit_pico", features_only=True).forward_head(x)  # pyright: ignore[reportCallIssue]
    multiaxis.streamed(maxvit)  # pyright: ignore[reportArgumentType]
    Classifier(maxvit).clasify("cat.jpg")  # pyright: ignore[reportAttributeAccessIssue]
    fold("maxvit")  # pyright: ignore[reportArgumentType]
    assert_type(fold(nn.Linear(1, 1)), nn.Linear)
