"""Trainings that take turns in one process, so that a busy machine treats them alike.

    python benchmarks/turns.py CURVE.png SCORE OUTPUT... [--over step]

draws what they wrote: the score, such as AP50 or miou, over the processor's time or the steps, a
line for each training. Folders of several seeds of one contender are drawn in one colour.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from torch import nn

from multiaxis.train import train
from multiaxis.train.log import Report
from multiaxis.train.recipe import Recipe

mpl.use("Agg")
import matplotlib.pyplot as plt

TURN = 50  # steps of one until the next goes on
FILE = "turns.jsonl"
Contenders = Mapping[str, tuple[Recipe, nn.Module | Mapping[str, nn.Module]]]
"""What trains by which recipe: a model, or several by name."""


def take_turns(contenders: Contenders, output: Path) -> None:
    """Train each to the end of its recipe, some `TURN` steps at a time.

    Every report is a line of ``turns.jsonl``, with the processor's seconds of that contender until
    then. What was stopped goes on with the same call.
    """
    torch.set_num_threads(1)
    output.mkdir(parents=True, exist_ok=True)
    seconds = _spent(output / FILE)
    done = dict.fromkeys(contenders, 0)
    while any(done[name] < recipe.run.steps for name, (recipe, _) in contenders.items()):
        for name, (recipe, network) in contenders.items():
            if done[name] < recipe.run.steps:
                start = seconds.get(name, 0.0)
                done[name], spent = _turn(name, recipe, network, output, start)
                seconds[name] = start + spent


def _turn(
    name: str,
    recipe: Recipe,
    network: nn.Module | Mapping[str, nn.Module],
    output: Path,
    before: float,
) -> tuple[int, float]:
    begun, first = time.process_time(), None

    def note(report: Report) -> None:
        nonlocal first
        first = report.step if first is None else first
        cpu = before + time.process_time() - begun
        row: dict[str, Any] = {"model": name, "step": report.step, "cpu": round(cpu, 1)}
        row["scores" if report.scores else "losses"] = report.scores or report.losses
        with (output / FILE).open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
        if not report.scores and report.step >= first + TURN:
            os.kill(os.getpid(), signal.SIGTERM)

    models = network if isinstance(network, Mapping) else {"model": network}
    outcome = train(recipe, output / name, models=models, on_report=note)
    return outcome.step, time.process_time() - begun


def _spent(path: Path) -> dict[str, float]:
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["model"]: row["cpu"] for row in rows}


def draw(outputs: list[Path], score: str, picture: Path, *, over: str = "cpu") -> None:
    """Draw losses and a score over the processor's minutes, or over the steps."""
    unit, title = (60, "minutes of the processor") if over == "cpu" else (1, "steps")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    colours: dict[str, str] = {}
    for output in outputs:
        rows = [json.loads(line) for line in (output / FILE).read_text().splitlines()]
        for name in dict.fromkeys(row["model"] for row in rows):
            label = name if name not in colours else None
            colour = colours.setdefault(name, f"C{len(colours)}")
            mine = [row for row in rows if row["model"] == name]
            lost = [row for row in mine if "losses" in row]
            left.plot(
                [row[over] / unit for row in lost],
                [sum(row["losses"].values()) for row in lost],
                color=colour,
                label=label,
            )
            scored = [row for row in mine if "scores" in row]
            right.plot(
                [row[over] / unit for row in scored],
                [row["scores"][score] for row in scored],
                "o-",
                color=colour,
                label=label,
            )
    left.set(ylabel="loss of training", yscale="log")
    right.set(ylabel=f"{score} of the validation set")
    for axes in (left, right):
        axes.set_xlabel(title)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("score")
    parser.add_argument("outputs", type=Path, nargs="+")
    parser.add_argument("--over", choices=("cpu", "step"), default="cpu")
    words = parser.parse_args()
    draw(words.outputs, words.score, words.picture, over=words.over)
