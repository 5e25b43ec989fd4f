"""``multiaxis train``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from multiaxis.cli import console
from multiaxis.cli.codes import OK
from multiaxis.cli.options import Flag
from multiaxis.errors import ConfigError

if TYPE_CHECKING:
    from multiaxis.train.log import Report
    from multiaxis.train.recipe import Recipe


def train(
    recipe: str | None = None,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    set: Annotated[list[str] | None, Parameter(negative=())] = None,
    list_recipes: Annotated[Flag, Parameter(name="--list")] = False,
    show: Flag = False,
    dry_run: Flag = False,
    quiet: Annotated[Flag, Parameter(alias="-q")] = False,
) -> int:
    """Train a model by a recipe, or resume a training that was stopped.

    Ctrl-C and SIGTERM save a checkpoint and stop. The same command resumes from it.

    Parameters
    ----------
    recipe
        A name that --list shows.
    output
        The folder for checkpoints, log and weights. By default runs/RECIPE.
    set
        Change a field of the recipe, such as optim.lr=3e-4 or data.folder=photos. Repeat the option
        for several fields. --show lists them.
    list_recipes
        List the recipes.
    show
        Print the recipe with its fields, and do not train.
    dry_run
        Build everything, do two steps on made-up data of the real shape, and print the memory and
        time that the training needs.
    quiet
        Print errors only.
    """
    from multiaxis.tasks.recipes import RECIPES, get_recipe
    from multiaxis.train.override import override

    if list_recipes:
        for known in RECIPES.values():
            console.say(f"{known.name:28}  {known.about.splitlines()[0]}")
        return OK
    if recipe is None:
        raise ConfigError("no recipe was named: choose one that multiaxis train --list shows")
    chosen = override(get_recipe(recipe), set or [])
    if show:
        from multiaxis.train.describe import fields_of

        console.say(*chosen.about.splitlines())
        for name, value in fields_of(chosen):
            console.say(f"  {name} = {value}")
        return OK
    if dry_run:
        from multiaxis.train import dry_run as rehearse

        console.say(*str(rehearse(chosen)).splitlines())
        return OK
    return _train(chosen.name, chosen, output, quiet=quiet)


def _train(name: str, chosen: Recipe, output: Path | None, *, quiet: bool) -> int:
    from multiaxis.train import train as run

    folder = output or Path("runs") / name
    quiet = quiet or os.environ.get("RANK", "0") != "0"  # of many processes the first one speaks

    def report(state: Report) -> None:
        if not quiet:
            console.say(line(state))
        for complaint in state.complaints:
            console.complain(f"left out: {complaint}")

    outcome = run(chosen, folder, on_report=report)
    if outcome.stopped_by is not None:
        console.complain(
            f"stopped at step {outcome.step} of {chosen.run.steps} and saved in {folder}; run the "
            "same command to resume"
        )
        return 128 + outcome.stopped_by
    console.note(f"{outcome.step} steps; weights: {outcome.weights}", quiet=quiet)
    return OK


def line(state: Report) -> str:
    """Put a report into one line."""
    if state.score is not None:
        return f"step {state.step:>8}  held out: {state.scored} {state.score:.3f}"
    counts = "".join(
        f"  {count} {what}"
        for count, what in ((state.skipped, "skipped"), (state.unreadable, "unreadable"))
        if count
    )
    return (
        f"step {state.step:>8} of {state.steps}  loss {state.loss:.5f}  rate {state.rate:.2e}  "
        f"{state.per_second:.1f} samples/s  {console.duration(state.seconds_left)} left{counts}"
    )
