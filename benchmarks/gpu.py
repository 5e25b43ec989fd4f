"""What a GPU does: MAXIM whole and in pieces, MaxViT beside timm's and torchvision's, and clips.

    python benchmarks/gpu.py                       # on a GPU: writes its tables into docs/gpu.md
    python benchmarks/gpu.py --device cpu --quick  # the same code in a minute: writes nothing

`make gpu` runs it. Weights are random where time does not depend on them. Each figure is the best
of several passes, all contenders in turns. Seconds end when the device has finished.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from multiaxis import Restorer, create_model, streamed
from multiaxis.deploy import fold
from multiaxis.devices import full_precision
from multiaxis.errors import ImageError
from multiaxis.memory import is_out_of_memory

PAGE = Path(__file__).resolve().parents[1] / "docs" / "gpu.md"
BEGIN, END = "<!-- measured -->", "<!-- end -->"
SIDE = 224  # of MaxViT's pictures
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes
    ----------
    maxim : dict
        Configuration of the MAXIM, S-2 apart.
    sizes : tuple of int
        Sides of pictures to restore, pixels.
    dtypes : tuple of torch.dtype
    batches : tuple of int
        Pictures at once for MaxViT.
    compiled : tuple of torch.dtype
        Of compiled models, which take part in these alone: compiling takes minutes.
    passes, short_passes : int
        Of each contender, in MAXIM and clips, and in MaxViT; the best counts.
    clip : tuple of int
        Frames, height and width.
    """

    maxim: dict[str, Any]
    sizes: tuple[int, ...] = (256, 512, 1024, 2048, 4096)
    dtypes: tuple[torch.dtype, ...] = DTYPES
    batches: tuple[int, ...] = (1, 32)
    compiled: tuple[torch.dtype, ...] = (torch.bfloat16,)
    passes: int = 5
    short_passes: int = 20
    clip: tuple[int, int, int] = (48, 720, 1280)


FULL = Plan(maxim={})
QUICK = Plan(
    maxim={"features": 8, "num_stages": 1, "num_groups": 1, "num_bottleneck_blocks": 1},
    sizes=(64, 128),
    dtypes=(torch.float32, torch.float16),
    batches=(1,),
    compiled=(),
    passes=1,
    short_passes=1,
    clip=(3, 48, 64),
)


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Time a call until the device has finished it."""
    wait = torch.cuda.synchronize if device.type == "cuda" else nullcontext
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start


def best(
    runs: dict[str, Callable[[], object]], device: torch.device, passes: int
) -> dict[str, tuple[float, int]]:
    """Time contenders in turns, after one pass to warm up, which tells the memory as well.

    Returns
    -------
    dict of str to (float, int)
        Seconds, infinity for what does not fit; bytes that a call takes beside what is there, 0 on
        a processor.
    """
    found = dict.fromkeys(runs, (float("inf"), 0))
    for turn in range(passes + 1):
        for name, run in runs.items():
            try:
                taken, held = peak(run, device) if not turn else (seconds(run, device), 0)
            except (RuntimeError, ImageError) as error:
                if isinstance(error, ImageError) or is_out_of_memory(error):
                    continue
                if "INT_MAX" in str(error):  # a map of more values than CUDA's resizes count
                    continue
                if "compiled" not in name:  # a compiler that is not installed costs its rows only
                    raise
                print(f"{name} did not run: {type(error).__name__}: {error}")
                continue
            least, most = found[name]
            found[name] = (min(least, taken) if turn else least, max(most, held))
    return found


def peak(run: Callable[[], object], device: torch.device) -> tuple[float, int]:
    """Seconds of a call, and bytes that it takes beside what is there; 0 on a processor."""
    if device.type != "cuda":
        return seconds(run, device), 0
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    taken = seconds(run, device)
    return taken, torch.cuda.max_memory_allocated(device) - before


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def restoring(plan: Plan, device: torch.device) -> Iterator[str]:
    """Microseconds and bytes a pixel, whole and in pieces."""
    yield "| MAXIM S-2 | side | whole us/pixel | pieces us/pixel | whole B/pixel | pieces B/pixel |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for dtype in plan.dtypes:
        torch.manual_seed(0)
        model = create_model("maxim_s2", **plan.maxim).eval().to(device, dtype)
        pieces = streamed(model)
        for side in plan.sizes:
            x = torch.rand(1, 3, side, side, device=device).to(dtype)
            runs: dict[str, Callable[[], object]] = {
                "whole": partial(model, x),
                "pieces": partial(pieces, x),
            }
            with torch.inference_mode(), full_precision():
                found = best(runs, device, plan.passes if side < 2048 else 1).values()
            speeds = " | ".join(_or_not(t * 1e6 / side**2, "does not fit") for t, _ in found)
            sizes = " | ".join(f"{size / side**2:.0f}" if size else "-" for _, size in found)
            yield f"| {name_of(dtype)} | {side} | {speeds} | {sizes} |"


def _or_not(value: float, otherwise: str) -> str:
    return otherwise if value == float("inf") else f"{value:.4g}"


def maxvits(*, compiled: bool) -> dict[str, Callable[[], nn.Module]]:
    """Build MaxViT-tiny as each library has it; compiled ones too, if asked for."""
    import timm
    import torchvision

    def ours() -> nn.Module:
        return create_model("maxvit_tiny")

    def folded() -> nn.Module:
        return fold(create_model("maxvit_tiny"))

    def theirs() -> nn.Module:
        return timm.create_model("maxvit_tiny_tf_224")

    def last(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        return lambda: build().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    found: dict[str, Callable[[], nn.Module]] = {
        "multiaxis": ours,
        "multiaxis folded": folded,
        "timm": theirs,
        "timm channels_last": last(theirs),
        "torchvision": torchvision.models.maxvit_t,
        "torchvision channels_last": last(torchvision.models.maxvit_t),
    }
    if compiled:
        chosen = ("multiaxis folded", "timm channels_last", "torchvision channels_last")
        found |= {f"{name} compiled": _compiled(found[name]) for name in chosen}
    return found


def _compiled(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        model = build().eval()
        model.compile(dynamic=False)  # a program for each batch
        return model

    return make


def classifying(plan: Plan, device: torch.device) -> Iterator[str]:
    """Milliseconds and MiB a picture, beside timm and torchvision."""
    yield "| MaxViT-tiny, 224 | batch | contender | ms/picture | over the faster of theirs | MiB |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for dtype in plan.dtypes:
        models = _built(dtype, device, plan)
        for batch in plan.batches:
            x = torch.randn(batch, 3, SIDE, SIDE, device=device).to(dtype)
            last = x.contiguous(memory_format=torch.channels_last)
            given = {name: last if "channels_last" in name else x for name in models}
            runs: dict[str, Callable[[], object]] = {
                name: partial(model, given[name]) for name, model in models.items()
            }
            with torch.inference_mode(), full_precision():
                found = best(runs, device, plan.short_passes)
            for name, (taken, held) in found.items():
                said = _or_not(taken * 1e3 / batch, "does not fit or run")
                ratio = taken / _best_of_theirs(found, compiled=name.endswith("compiled"))
                row = f"{name_of(dtype)} | {batch} | {name} | {said} | {ratio:.2f}"
                yield f"| {row} | {held / batch / 2**20:.1f} |"


def _best_of_theirs(found: dict[str, tuple[float, int]], *, compiled: bool) -> float:
    """Find the seconds of the faster of timm and torchvision, compiled or not."""
    return min(
        taken
        for name, (taken, _) in found.items()
        if not name.startswith("multiaxis") and name.endswith("compiled") == compiled
    )


def _built(dtype: torch.dtype, device: torch.device, plan: Plan) -> dict[str, nn.Module]:
    builders = maxvits(compiled=dtype in plan.compiled)
    return {name: build().eval().to(device, dtype) for name, build in builders.items()}


def filming(plan: Plan, device: torch.device) -> Iterator[str]:
    """Frames a second: of the network alone in batches, and of a clip from file to file."""
    frames, height, width = plan.clip
    yield f"| small denoiser, {width} x {height} | frames/s |"
    yield "| --- | --- |"
    for dtype in plan.dtypes:
        restorer = Restorer("denoise", weights="denoise-nano", device=device, dtype=dtype)
        for count in (1, 4):
            x = torch.rand(count, 3, height, width, device=device)
            taken, _ = best({"": partial(restorer.restore, x)}, device, plan.passes)[""]
            yield f"| {name_of(dtype)}, {count} at once, on the device | {count / taken:.3g} |"
        with tempfile.TemporaryDirectory() as folder:
            taken = _clip_seconds(restorer, Path(folder), plan.clip)
        yield f"| {name_of(dtype)}, decoded, restored and encoded | {frames / taken:.3g} |"


def _clip_seconds(restorer: Restorer, folder: Path, size: tuple[int, int, int]) -> float:
    import av

    from multiaxis.video import restore_clip

    frames, height, width = size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    with av.open(str(folder / "in.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for k in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(noise // 4 + 96, k, axis=1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    start = time.perf_counter()
    restore_clip(restorer.restore_values, folder / "in.mp4", folder / "out.mp4")
    return time.perf_counter() - start


def machine(device: torch.device) -> str:
    """Name the machine, its software and the day."""
    day = datetime.now(UTC).date().isoformat()
    versions = f"PyTorch {torch.__version__}"
    if device.type != "cuda":
        return f"A processor, {torch.get_num_threads()} threads, {versions}, {day}."
    about = torch.cuda.get_device_properties(device)
    cudnn = torch.backends.cudnn.version()
    return (
        f"Measured on {day} on one {about.name} ({about.total_memory / 1e9:.0f} GB), {versions}, "
        f"cuDNN {cudnn}. TF32 is off."
    )


def write(text: str) -> None:
    """Put the tables in their place in the page."""
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")
    print(f"wrote {PAGE}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="little of everything, to try it")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("No CUDA GPU is here: nothing was measured. (--device cpu --quick tries the code.)")
        return
    plan = QUICK if options.quick else FULL
    tables: list[str] = []
    for measure in (restoring, classifying, filming):
        rows: list[str] = []
        for row in measure(plan, device):
            print(row, flush=True)
            rows.append(row)
        tables.append("\n".join(rows))
    print(machine(device))
    if device.type == "cuda" and not options.quick:
        write("\n\n".join([machine(device), *tables]))


if __name__ == "__main__":
    main()
