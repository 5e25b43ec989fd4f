"""The command ``multiaxis``: names its subcommands by string, so that help loads nothing."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from cyclopts import App, CycloptsError

import multiaxis
from multiaxis.cli import console
from multiaxis.cli.codes import BAD_INPUT, INTERRUPTED, NO_WEIGHTS, OK, UNEXPECTED
from multiaxis.errors import MultiaxisError, WeightsUnavailableError, explain

app = App(
    name="multiaxis",
    version=multiaxis.__version__,
    help="Restore photographs with MAXIM and classify them with MaxViT, as published.\n\n"
    "Exit codes: 0 done, 1 some files failed, 2 bad input, 3 weights unavailable, 70 unexpected "
    "error, 130 interrupted.\n\n"
    "With --debug anywhere in the command, errors show their tracebacks.",
    help_format="markdown",
)
app.command(
    "multiaxis.cli.restore:restore",
    name="restore",
    help="Denoise, deblur, derain, dehaze, brighten or retouch pictures and clips.\n\n"
    "Each picture is restored whole, unless --tile is asked for. Originals are never changed.",
)
app.command(
    "multiaxis.cli.compare:compare",
    name="compare",
    help="Put two versions of a picture side by side.",
)
app.command(
    "multiaxis.cli.evaluate:evaluate",
    name="evaluate",
    help="Restore a folder and score it against its targets.\n\n"
    "A pair that fails is reported at the end, and the means are without it.",
)
app.command(
    "multiaxis.cli.classify:classify",
    name="classify",
    help="Name what pictures show.",
)
app.command(
    "multiaxis.cli.export:export", name="export", help="Write a model as an ONNX file, checked."
)
app.command(
    "multiaxis.cli.train:train",
    name="train",
    help="Train a model by a recipe.\n\n"
    "Stop it with Ctrl-C or SIGTERM: it saves first, and the same command goes on from there.",
)
app.command(
    "multiaxis.cli.degrade:degrade",
    name="degrade",
    help="Spoil pictures on purpose: noise, blur, rain, haze, darkness, JPEG.\n\n"
    "What was drawn is printed for each picture, in words that --with takes again.",
)
app.command("multiaxis.cli.models:models", name="models", help="List the models.")
app.command(
    "multiaxis.cli.info:info",
    name="info",
    help="Say what is installed and what this machine has: what a report of a fault needs.",
)
_weights = App(name="weights", help="List, fetch, check and convert checkpoints.")
_weights.command(
    "multiaxis.cli.weights:list_weights", name="list", help="List the published checkpoints."
)
_weights.command("multiaxis.cli.weights:pull", name="pull", help="Fetch checkpoints.")
_weights.command("multiaxis.cli.weights:verify", name="verify", help="Check what is cached.")
_weights.command(
    "multiaxis.cli.weights:convert",
    name="convert",
    help="Convert a checkpoint to safetensors, under our names or timm's.",
)
app.command(_weights)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit. ``--debug`` anywhere shows the traceback of an error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    is_debugging = "--debug" in words
    console.accept_any_name()
    logging.getLogger("multiaxis").addHandler(logging.NullHandler())  # else warnings are printed
    if is_debugging:
        logging.basicConfig()
        logging.getLogger("multiaxis").setLevel(logging.DEBUG)
    sys.exit(_run([word for word in words if word != "--debug"], is_debugging=is_debugging))


def _run(words: list[str], *, is_debugging: bool) -> int:
    try:
        result = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except KeyboardInterrupt:
        console.complain("interrupted; what was finished is kept")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe left; say nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:  # the last resort: users see no traceback
        if is_debugging:
            raise
        if not isinstance(error, MultiaxisError | CycloptsError):
            console.complain(
                f"{explain(error)}. Run it again with --debug and report what it shows"
            )
            return UNEXPECTED
        console.complain(str(error).strip())
        return NO_WEIGHTS if isinstance(error, WeightsUnavailableError) else BAD_INPUT
    return result if isinstance(result, int) else OK
