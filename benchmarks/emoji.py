"""Train a MaxViT generator and a DCGAN's of equal cost on emoji of 32 x 32, in turns.

    python tools/prepare_emoji.py DATA/emoji emoji
    python benchmarks/emoji.py emoji OUTPUT [--steps 2000 2600] [--seed 0]

Both train by the recipe generate-small, against a discriminator of one kind each, with the same
samples, losses and rates. The DCGAN has the width that brings its multiply-adds nearest to ours.
OUTPUT/turns.jsonl has the processor's seconds of each and the distances, OUTPUT/NAME.png pictures.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from turns import take_turns

from multiaxis.tasks.generate.config import DiscriminatorConfig
from multiaxis.tasks.generate.discriminator import Discriminator
from multiaxis.tasks.generate.grid import in_grid
from multiaxis.tasks.generate.latents import draw_latents
from multiaxis.tasks.generate.store import build_network
from multiaxis.tasks.recipes import get_recipe
from multiaxis.train.override import override
from multiaxis.train.recipe import Recipe


@dataclass(frozen=True)
class DcganConfig:
    """Length of the latent, channels of the first map, and the pictures' side."""

    latent: int = 64
    width: int = 64
    size: int = 32


class Dcgan(nn.Module):
    """The generator of Radford et al. (2015): transposed convolutions, batch norms, ReLU, tanh."""

    def __init__(self, config: DcganConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.first = nn.Linear(config.latent, 16 * width, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(width), nn.ReLU()]
        for _ in range(2):
            layers += [nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False)]
            layers += [nn.BatchNorm2d(width // 2), nn.ReLU()]
            width //= 2
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh())
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, std=0.02)

    def forward(self, latents: Tensor) -> Tensor:
        """Make pictures."""
        return self.layers(self.first(latents).unflatten(1, (-1, 4, 4)))


def multiply_adds(generator: nn.Module, latent: int) -> float:
    generator.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        generator(torch.zeros(1, latent))
    generator.train()
    return counter.get_total_flops() / 2


def contenders(recipe: Recipe, steps: list[int]) -> dict[str, tuple[Recipe, dict[str, nn.Module]]]:
    torch.manual_seed(recipe.run.seed)
    ours = build_network(recipe.model.name, recipe.model.config)
    goal = multiply_adds(ours, ours.config.latent)
    known = [DcganConfig(latent=ours.config.latent, width=width) for width in range(64, 1024, 8)]
    best = min(known, key=lambda c: abs(multiply_adds(Dcgan(c), c.latent) - goal))
    found: dict[str, tuple[Recipe, dict[str, nn.Module]]] = {}
    for (name, generator), count in zip(
        {"maxvit": ours, "dcgan": Dcgan(best)}.items(), steps, strict=True
    ):
        torch.manual_seed(recipe.run.seed)
        discriminator = Discriminator(DiscriminatorConfig(widths=(24, 48, 96, 96)), 32)
        cost = multiply_adds(generator, ours.config.latent) / 1e6
        parameters = sum(p.numel() for p in generator.parameters())
        print(f"{name}: {parameters:,} parameters, {cost:.2f} MMAC a picture", flush=True)
        run = replace(recipe.run, steps=count)
        models = {"generator": generator, "discriminator": discriminator}
        found[name] = (replace(recipe, name=f"emoji-{name}", run=run), models)
    return found


def show(recipe: Recipe, models: dict[str, nn.Module], path: Path) -> None:
    """Draw the averaged generator's first pictures."""
    from safetensors.torch import load_file

    generator = models["generator"]
    generator.load_state_dict(load_file(path.with_suffix("") / "weights.safetensors"))
    generator.eval()
    with torch.inference_mode():
        made = generator(draw_latents(0, range(96), 64))
    levels = ((made.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    Image.fromarray(in_grid(levels, 16)).save(path)
    print(f"{recipe.name}: {path}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with train, of prepare_emoji.py")
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, nargs=2, default=(2000, 2600))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], help="fields of the recipe")
    words = parser.parse_args()
    pictures = words.folder / "train"
    changes = [f"data.folder={pictures}", f"valid.folder={pictures}", f"run.seed={words.seed}"]
    changes += ["run.tracker=none", "run.log_every=25", "run.validate_every=250"]
    recipe = override(get_recipe("generate-small"), [*changes, *words.set])
    both = contenders(recipe, list(words.steps))
    take_turns(both, words.output)
    for name, (each, models) in both.items():
        show(each, models, words.output / f"{name}.png")


if __name__ == "__main__":
    main()
