from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import small_recipe
from multiaxis.data.augment import erase, rand_augment
from multiaxis.data.batch import collate
from multiaxis.data.crops import cut, trim
from multiaxis.data.mix import mix_batch
from multiaxis.data.numbered import NumberedSamples
from multiaxis.degrade import parse_chain
from multiaxis.errors import DataError
from multiaxis.tasks.classify.samples import ClassFolders
from multiaxis.tasks.restore.samples import CleanPhotographs, PairedFolders, shrunk


def clean(folder: Path, **more: object) -> CleanPhotographs:
    return CleanPhotographs(folder=str(folder), **{"degrade": (), "crop": 16, **more})


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    return small_recipe.make_pictures(tmp_path / "photographs", 5)


def test_a_number_means_a_sample(photographs: Path) -> None:
    chain = parse_chain("gaussian-noise:sigma=0..50,motion-blur:length=3..9")
    made = [
        NumberedSamples(clean(photographs, degrade=chain, mixup=0.5).open(), seed)
        for seed in (0, 0, 1)
    ]
    for number in (0, 7, 123456):
        one, two, other = (samples[number] for samples in made)
        assert torch.equal(one["degraded"], two["degraded"])
        assert torch.equal(one["target"], two["target"])
        assert not torch.equal(one["degraded"], other["degraded"])
        assert one["degraded"].shape == (3, 16, 16)


def test_each_pass_sees_everything_once(photographs: Path) -> None:
    source = clean(photographs).open()
    seen: list[int] = []
    real = source.sample
    source.sample = lambda index, rng: (seen.append(index), real(index, rng))[1]
    samples = NumberedSamples(source, 0)
    for number in range(15):
        samples[number]
    passes = [seen[k : k + 5] for k in (0, 5, 10)]
    assert all(sorted(p) == list(range(5)) for p in passes)
    assert len(set(map(tuple, passes))) > 1


def test_targets_are_what_was_degraded(photographs: Path) -> None:
    samples = NumberedSamples(clean(photographs, mixup=0.5).open(), 0)
    assert all(torch.equal(s["degraded"], s["target"]) for s in map(samples.__getitem__, range(20)))


def test_pairs_are_cut_and_turned_alike(photographs: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    for path in photographs.iterdir():
        picture = 255 - np.asarray(Image.open(path))
        Image.fromarray(picture).save(inputs / path.name)
    about = PairedFolders(inputs=str(inputs), targets=str(photographs), crop=16)
    samples = NumberedSamples(about.open(), 0)
    for number in range(20):
        sample = samples[number]
        assert torch.allclose(sample["degraded"], 1 - sample["target"], atol=1e-6)


def test_bad_pairs(photographs: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        PairedFolders(inputs=str(inputs), targets=str(photographs)).open()
    with pytest.raises(DataError, match="cannot list .*nowhere"):
        clean(tmp_path / "nowhere").open()
    Image.new("RGB", (40, 40)).save(inputs / "0.png")
    with pytest.raises(DataError, match=r"without a partner: 4, such as .*1.png"):
        PairedFolders(inputs=str(inputs), targets=str(photographs)).open()
    for k in range(5):
        Image.new("RGB", (40, 41)).save(inputs / f"{k}.png")
    with pytest.raises(DataError, match="40 x 41 pixels and its target .* 40 x 40"):
        PairedFolders(inputs=str(inputs), targets=str(photographs)).open()


def test_a_corrupt_picture_is_named_and_left_out(photographs: Path) -> None:
    (photographs / "2.png").write_bytes((photographs / "2.png").read_bytes()[:60])
    samples = NumberedSamples(clean(photographs).open(), 0)
    made = collate([samples[number] for number in range(5)])
    assert made["degraded"].shape == (5, 3, 16, 16)
    assert len(made.complaints) >= 1
    assert "2.png" in made.complaints[0]
    for path in photographs.iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="5 items in a row cannot be read"):
        NumberedSamples(clean(photographs).open(), 0)[0]


def test_small_pictures_are_named(photographs: Path) -> None:
    with pytest.raises(DataError, match="40 x 40 pixels, less than the crop of 64"):
        NumberedSamples(clean(photographs, crop=64).open(), 0)[0]


def test_shrinking_takes_means() -> None:
    x = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    assert np.array_equal(shrunk(x, 2)[0, 0], np.rint(x[:2, :2].mean(axis=(0, 1))))
    assert shrunk(x, 2).shape == (2, 2, 3)


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    for name in ("cat", "dog", "eel"):
        small_recipe.make_pictures(tmp_path / "classes" / name, 2, 48)
    return tmp_path / "classes"


@pytest.mark.parametrize("crop", ["inception", "pad"])
def test_classes(classes: Path, crop: str) -> None:
    about = ClassFolders(folder=str(classes), size=32, crop=crop, layers=2, magnitude=15, erase=0.5)
    source = about.open()
    assert source.classes == ["cat", "dog", "eel"]
    assert len(source) == 6
    batch = collate([NumberedSamples(source, 0)[number] for number in range(12)])
    assert batch["picture"].shape == (12, 3, 32, 32)
    assert batch["label"].tolist().count(1) == 4
    assert batch["picture"].min() >= -1
    assert batch["picture"].max() <= 1


def test_bad_classes(classes: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        ClassFolders(folder=str(tmp_path / "nowhere")).open()
    with pytest.raises(DataError, match="holds no folders"):
        ClassFolders(folder=str(classes / "cat")).open()
    (classes / "fox").mkdir()
    with pytest.raises(DataError, match="fox holds no pictures"):
        ClassFolders(folder=str(classes)).open()


def test_augmentations_keep_size_and_type() -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8))
    for _ in range(60):
        changed = rand_augment(picture, 2, 15, rng)
        assert changed.size == picture.size
        assert changed.mode == "RGB"
    assert rand_augment(picture, 0, 15, rng) is picture
    assert erase(np.asarray(picture), rng).shape == (20, 30, 3)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing_weighs_labels_as_pixels(kind: str) -> None:
    pictures = torch.stack([torch.zeros(3, 16, 16), torch.ones(3, 16, 16)])
    shares = torch.eye(2)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, y = mix_batch(
            pictures,
            shares,
            mixup=float(kind == "mixup"),
            cutmix=float(kind == "cutmix"),
            rng=rng,
        )
        assert torch.allclose(x.mean(dim=(1, 2, 3)), y[:, 1], atol=1e-5)
        assert torch.allclose(y.sum(dim=1), torch.ones(2))
    same = mix_batch(pictures, shares, mixup=0.0, cutmix=0.0, rng=np.random.default_rng(0))
    assert same[0] is pictures


@pytest.mark.parametrize("margin", [0, 3, 30])
def test_crops_lie_anywhere_with_whole_margins(margin: int) -> None:
    rows, columns = np.mgrid[:20, :24]
    picture = np.stack([rows, columns, rows], axis=-1).astype(np.uint8)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(400):
        (made,) = cut([picture], 16, rng, margin=margin)
        assert made.shape == (16 + 2 * margin, 16 + 2 * margin, 3)
        top, left = (int(k) for k in trim(made, 16)[0, 0, :2])
        assert (trim(made, 16) == picture[top : top + 16, left : left + 16]).all()
        whole = np.pad(picture, ((margin,) * 2, (margin,) * 2, (0, 0)), mode="symmetric")
        wanted = whole[top : top + 16 + 2 * margin, left : left + 16 + 2 * margin]
        assert (made == wanted).all()
        seen.add((top, left))
    assert {top for top, _ in seen} == set(range(5))
    assert {left for _, left in seen} == set(range(9))


AFTER_READING = """
import sys
from multiaxis.data.load import Share, passes
from multiaxis.tasks.restore.samples import CleanPhotographs

source = CleanPhotographs(folder=sys.argv[1], degrade=(), crop=16).open()
here, there = (list(passes(source, 0, Share(2, workers=w), first=0, end=3)) for w in (0, 1))
assert all((a["degraded"] == b["degraded"]).all() for a, b in zip(here, there, strict=True))
"""


@pytest.mark.thorough
def test_workers_read_what_the_caller_has_read_before(tmp_path: Path) -> None:
    # In a process of its own, so that a worker that hangs is ended with it.
    folder = small_recipe.make_pictures(tmp_path / "photographs")
    subprocess.run([sys.executable, "-c", AFTER_READING, str(folder)], check=True, timeout=60)
