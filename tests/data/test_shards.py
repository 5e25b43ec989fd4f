from __future__ import annotations

import gzip
import io
import itertools
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from multiaxis.data.batch import Batch
from multiaxis.data.load import Share, passes
from multiaxis.data.shards import Shards
from multiaxis.errors import DataError
from multiaxis.tasks.classify.samples import ClassShards
from multiaxis.tasks.recipes import get_recipe
from multiaxis.tasks.restore.samples import PairShards
from multiaxis.train.override import override


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((20, 24, 3), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def write(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))


@pytest.fixture
def shards(tmp_path: Path) -> str:
    """Six shards of four pictures; picture k is of grey k and class k % 3."""
    for shard in range(6):
        files: dict[str, bytes] = {}
        for k in range(4 * shard, 4 * shard + 4):
            files |= {f"{k:03}.png": png(k), f"{k:03}.cls": str(k % 3).encode()}
        write(tmp_path / f"train-{shard}.tar", files)
    return str(tmp_path / "train-{0..5}.tar")


def greys(samples: list[Batch]) -> list[int]:
    return [round(float(v)) for s in samples for v in (s["picture"][:, 0, 0, 0] + 1) * 127.5]


def about(urls: str, **more: object) -> ClassShards:
    return ClassShards(urls=urls, classes=3, size=16, train=False, **{"shuffle": 3, **more})


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("processes", "workers"),  # each worker is a process that imports torch
    [
        (1, 0),
        (2, 0),
        (2, 1),
        *(pytest.param(*k, marks=pytest.mark.slow) for k in [(1, 2), (3, 2)]),
    ],
)
def test_together_the_processes_see_everything(shards: str, processes: int, workers: int) -> None:
    seen: list[int] = []
    for process in range(processes):
        share = Share(2, process, processes, workers)
        made = list(passes(about(shards, shuffle=1).open(), 0, share, first=0, end=12 // processes))
        seen += greys(made)
        numbers = [share.numbers(k) for k in range(12 // processes)]
        assert [batch.numbers.tolist() for batch in made] == [list(n) for n in numbers]
        assert all((s["label"] == torch.tensor(greys([s])) % 3).all() for s in made)
    if workers < 2:  # more readers take turns, and are not all at the same place
        assert len(set(seen)) >= 20
    assert len(seen) == 24


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_going_on_gives_what_would_have_come(shards: str, workers: int) -> None:
    share = Share(3, workers=workers)
    whole = list(passes(about(shards).open(), 7, share, first=0, end=13))
    rest = list(passes(about(shards).open(), 7, share, first=5, end=13))
    assert greys(whole[5:]) == greys(rest)
    assert [b.numbers.tolist() for b in whole[5:]] == [b.numbers.tolist() for b in rest]
    assert greys(whole[:8]) != sorted(greys(whole[:8]))


def test_pairs(tmp_path: Path) -> None:
    files = {}
    for k in range(5):
        files |= {f"{k}.input.png": png(k), f"{k}.target.png": png(k + 100)}
    write(tmp_path / "a.tar", files)
    spec = PairShards(urls=str(tmp_path / "a.tar"), crop=16, shuffle=2)
    for sample in passes(spec.open(), 0, Share(2), first=0, end=6):
        assert sample["degraded"].shape == (2, 3, 16, 16)
        assert torch.allclose(sample["target"] - sample["degraded"], torch.tensor(100 / 255))


def test_what_is_damaged_is_named_and_left_out(shards: str, tmp_path: Path) -> None:
    cut = tmp_path / "train-2.tar"
    cut.write_bytes(cut.read_bytes()[:2500])
    write(tmp_path / "train-3.tar", {"x.png": b"nothing", "x.cls": b"1", "y.png": png(9)})
    made = list(passes(about(shards).open(), 0, Share(4), first=0, end=12))
    complaints = " ".join(itertools.chain.from_iterable(s.complaints for s in made))
    assert "train-2.tar ends early" in complaints
    assert "train-3.tar: cannot read x.png: it is not a picture" in complaints
    assert "y has the class ''" in complaints
    assert all(s["picture"].shape[0] == 4 for s in made)


def test_bad_shards(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 shards are too few for 2 processes with 1 workers"):
        next(passes(about(str(tmp_path / "a.tar")).open(), 0, Share(1, 0, 2), first=0, end=1))
    with pytest.raises(DataError, match=r"shards in a row hold no samples.*a.tar"):
        next(passes(about(str(tmp_path / "a.tar")).open(), 0, Share(1), first=0, end=1))
    for workers in (0, 1):  # in a worker, too, it is one sentence
        share = Share(4, workers=workers)
        with pytest.raises(DataError, match=r"^\d shards in a row hold no samples") as caught:
            next(passes(about(str(tmp_path / "a.tar")).open(), 0, share, first=0, end=1))
        assert "Traceback" not in str(caught.value)
    with pytest.raises(DataError, match="shards in a row hold no samples"):
        next(passes(about("pipe:false").open(), 0, Share(1), first=0, end=1))


@pytest.mark.thorough
def test_compressed_shards_are_whole(shards: str, tmp_path: Path) -> None:
    packed = tmp_path / "packed.tar.gz"
    packed.write_bytes(gzip.compress((tmp_path / "train-0.tar").read_bytes()))
    made = list(passes(about(str(packed)).open(), 0, Share(2), first=0, end=4))
    assert not any(sample.complaints for sample in made)


def test_damaged_pictures_cost_only_themselves(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = {}
    for k in range(60):
        data = bytearray(png(k))
        if k % 4 == 0:
            for place in rng.integers(8, len(data), 3):
                data[place] = rng.integers(256)
        files |= {f"{k:03}.png": bytes(data), f"{k:03}.cls": b"1"}
    write(tmp_path / "a.tar", files)
    made = list(passes(about(str(tmp_path / "a.tar")).open(), 0, Share(8), first=0, end=15))
    assert all(sample["picture"].shape[0] == 8 for sample in made)


def test_a_recipe_takes_shards_in_the_place_of_folders() -> None:
    recipe = override(get_recipe("maxvit-tiny-in1k"), ["data.urls=train-{000..099}.tar"])
    assert isinstance(recipe.data, ClassShards)
    assert (recipe.data.classes, recipe.data.layers) == (1000, 2)
    recipe = override(get_recipe("maxim-derain-rain13k"), ["data.urls=a.tar", "data.crop=64"])
    assert recipe.data == PairShards(urls="a.tar", crop=64)


def test_ragged_fields_out_of_shards(shards: str) -> None:
    def decode(raw: dict[str, bytes], rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"boxes": np.zeros((int(raw["cls"]), 4, 2)), "count": np.asarray(int(raw["cls"]))}

    stream = Shards(shards, decode, shuffle=3, ragged=frozenset({"boxes"}))
    (made,) = passes(stream, 0, Share(8), first=0, end=1)
    assert [tuple(b.shape) for b in made["boxes"]] == [(n, 4, 2) for n in made["count"].tolist()]
    assert len(set(made["count"].tolist())) > 1


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((20, 24), 40000, np.uint16)).save(file, "PNG")
    write(
        tmp_path / "a.tar",
        {f"{k}.{e}": d for k in range(4) for e, d in (("png", file.getvalue()), ("cls", b"1"))},
    )
    (made,) = passes(about(str(tmp_path / "a.tar")).open(), 0, Share(2), first=0, end=1)
    assert round(float((made["picture"].max() + 1) * 127.5)) == 156
