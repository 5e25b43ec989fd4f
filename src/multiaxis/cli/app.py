"""The command ``multiaxis``: names its subcommands by string, so that help loads nothing."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from cyclopts import (
    App,
    CycloptsError,
    MissingArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)

import multiaxis
from multiaxis.cli import console, signals
from multiaxis.cli.codes import (
    BAD_INPUT,
    INTERRUPTED,
    NO_WEIGHTS,
    OK,
    SOME_FAILED,
    UNEXPECTED,
)
from multiaxis.errors import MultiaxisError, WeightsUnavailableError, explain

app = App(
    name="multiaxis",
    version=multiaxis.__version__,
    help="Restore photographs with MAXIM; classify, segment, rate and find with MaxViT.\n\n"
    "Exit codes: 0 done, 1 some files failed, 2 bad input, 3 weights unavailable, 70 unexpected "
    "error, 130 interrupted (143 by SIGTERM, 129 by SIGHUP).\n\n"
    "Add --debug to any command to see the traceback of an error.",
    help_format="markdown",
    suppress_keyboard_interrupt=False,  # it would end without a word
)
app.command(
    "multiaxis.cli.restore:restore",
    name="restore",
    help="Denoise, deblur, derain, dehaze, brighten or retouch pictures and clips.\n\n"
    "Each picture is restored whole, unless you pass --tile. Originals are never changed.",
)
app.command(
    "multiaxis.cli.compare:compare",
    name="compare",
    help="Put two versions of a picture side by side, and enlarge the place of greatest change.",
)
app.command(
    "multiaxis.cli.evaluate:evaluate",
    name="evaluate",
    help="Score what a model makes of a folder of pictures, against targets.\n\n"
    "A pair that fails is reported at the end. The means leave it out.",
)
app.command(
    "multiaxis.cli.classify:classify",
    name="classify",
    help="Name what pictures show, with MaxViT.",
)
app.command(
    "multiaxis.cli.detect:detect",
    name="detect",
    help="Find what pictures show, and draw boxes, outlines and scores, with a detector of yours.",
)
app.command(
    "multiaxis.cli.segment:segment",
    name="segment",
    help="Name the class of every pixel of pictures, with a MaxViT that you have trained.",
)
app.command(
    "multiaxis.cli.generate:generate",
    name="generate",
    help="Make pictures out of random numbers, with a generator that you have trained.",
)
app.command(
    "multiaxis.cli.rate:app",
    name="rate",
    help="Rate photographs as you would, find the best, with a rater learnt from your ratings.",
)
app.command(
    "multiaxis.cli.export:export", name="export", help="Write a model as an ONNX file and check it."
)
app.command(
    "multiaxis.cli.train:train",
    name="train",
    help="Train a model by a recipe.\n\n"
    "Ctrl-C and SIGTERM save a checkpoint and stop. The same command resumes from it.",
)
app.command(
    "multiaxis.cli.degrade:degrade",
    name="degrade",
    help="Spoil pictures on purpose: noise, blur, rain, haze, darkness, JPEG.\n\n"
    "The command prints what it drew for each picture, in words that --with accepts.",
)
app.command(
    "multiaxis.cli.serve:serve",
    name="serve",
    help="Restore pictures on a page in the browser, and for programs over HTTP (extra: serve).",
)
app.command("multiaxis.cli.models:models", name="models", help="List the models.")
app.command(
    "multiaxis.cli.info:info",
    name="info",
    help="Print what a fault report needs: versions, extras, machine, devices, formats, cache.",
)
_weights = App(name="weights", help="List, fetch, check and convert checkpoints.")
_weights.command(
    "multiaxis.cli.weights:list_weights", name="list", help="List the published checkpoints."
)
_weights.command("multiaxis.cli.weights:pull", name="pull", help="Fetch checkpoints.")
_weights.command(
    "multiaxis.cli.weights:verify", name="verify", help="Check the cached checkpoints."
)
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
    words = [word for word in words if word != "--debug"]
    with console.opened() as out, signals.interruptible() as signal:
        logging.getLogger("multiaxis").addHandler(logging.NullHandler())  # else warnings are shown
        if is_debugging:
            logging.basicConfig()
            logging.getLogger("multiaxis").setLevel(logging.DEBUG)
        code = _run(words, is_debugging=is_debugging)
        out.flush()
        if out.failure:
            console.complain(f"the printed results did not arrive: {out.failure.strerror}")
            code = code or SOME_FAILED
    if code == INTERRUPTED and arguments is None:  # else another program goes on behind it
        signals.leave(signal.exit_code)
    sys.exit(signal.exit_code if code == INTERRUPTED else code)


def _run(words: list[str], *, is_debugging: bool) -> int:
    try:
        result = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except KeyboardInterrupt:
        console.complain(
            "interrupted: no file is half-written, and finished files are kept; run the same "
            "command to start again"
        )
        return INTERRUPTED
    except Exception as error:  # the last resort: users see no traceback
        if is_debugging:
            raise
        if not isinstance(error, MultiaxisError | CycloptsError):
            console.complain(
                f"{explain(error)}. Run the command with --debug and report what it shows"
            )
            return UNEXPECTED
        text = _said(error)
        if isinstance(error, UnknownOptionError):
            command = " ".join(["multiaxis", *(error.command_chain or ()), "--help"])
            text = f"{text} {command} lists what is accepted."
        lists = isinstance(error, CycloptsError | WeightsUnavailableError)
        console.complain(*(text.splitlines() if lists else [text]))
        return NO_WEIGHTS if isinstance(error, WeightsUnavailableError) else BAD_INPUT
    return result if isinstance(result, int) else OK


def _said(error: MultiaxisError | CycloptsError) -> str:
    if isinstance(error, MissingArgumentError):
        return _missing(error)
    if isinstance(error, UnusedCliTokensError):
        command = " ".join(["multiaxis", *(error.command_chain or ()), "--help"])
        return (
            f"there is no place for these words: {' '.join(error.unused_tokens or ())}. If they "
            "are inputs, name them before the options; if they are values, repeat the option "
            f"before each. {command} lists what is accepted."
        )
    return str(error).strip()


def _missing(error: MissingArgumentError) -> str:
    """Say which argument is missing, and what its help says that it accepts."""
    from docstring_parser import parse  # cyclopts needs it itself, to show help

    argument, command = error.argument, " ".join(error.command_chain or ())
    if argument is None:
        return str(error).strip()
    described = parse(getattr(error.target, "__doc__", None) or "").params
    helps = [part.description for part in described if part.arg_name == argument.field_info.name]
    accepted = " ".join(str(helps[0]).split()) if helps else f"see multiaxis {command} --help"
    if error.keyword is not None:  # it was given, at the end or before another option
        return f"{error.keyword} needs a value behind it: {accepted}"
    return f"{command} needs {argument.name}: {accepted}"
