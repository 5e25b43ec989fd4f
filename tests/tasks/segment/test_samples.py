"""Pictures with labels: pairs, what numbers mean, changes alike, and refusals by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from multiaxis.errors import ConfigError, DataError
from multiaxis.tasks.segment.augment import VOID, mirrored, recoloured, rescaled_part
from multiaxis.tasks.segment.classes import Classes, palette, read_classes
from multiaxis.tasks.segment.samples import LabelFolders, LabelSource
from small_segments import CLASSES, make_squares


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    return make_squares(tmp_path, count=2)


def opened(folder: Path, **changes: object) -> LabelSource:
    words = {"classes": CLASSES, "crop": (16, 16), **changes}
    about = LabelFolders(
        pictures=str(folder / "pictures"),
        labels=str(folder / "labels"),
        **words,  # pyright: ignore[reportArgumentType]
    )
    return about.open()


def save_labels(folder: Path, labels: np.ndarray, name: str = "0.png", **how: object) -> None:
    image = Image.fromarray(labels.astype(np.uint8))
    image.save(folder / "labels" / name, **how)


@given(
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    factor=st.floats(0.2, 4),
    crop=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    seed=st.integers(0, 99),
)
def test_a_picture_and_its_labels_stay_together(
    height: int, width: int, factor: float, crop: tuple[int, int], seed: int
) -> None:
    """A picture that shows its labels still shows them, but for pixels on borders."""
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 2, (4, 4)), np.ones((8, 8), int))[:height, :width]
    labels = labels.astype(np.int32)
    picture = np.repeat((labels * 200 + 20).astype(np.uint8)[..., None], 3, axis=2)
    seen, truth = rescaled_part(picture, labels, factor, crop, rng)
    assert (seen.shape, truth.shape) == ((*crop, 3), crop)
    counted = truth != VOID
    assert (seen[~counted] == 128).all()
    plain = counted & ((seen[..., 0] == 20) | (seen[..., 0] == 220))
    assert ((seen[..., 0] > 120) == truth)[plain].all()
    wanted = [min(n, max(1, round(side * factor))) for n, side in zip(crop, (height, width))]
    assert counted.sum() == wanted[0] * wanted[1]
    flipped, other = mirrored(seen, truth)
    assert np.array_equal(flipped[:, ::-1], seen)
    assert np.array_equal(other[:, ::-1], truth)


def test_colours_change_and_labels_stay(pair: Path) -> None:
    source = opened(pair, scale=(1.0, 1.0), flip=False, crop=(40, 52), colour=0.5)
    rng = np.random.default_rng(0)
    one, two = (source.sample(0, rng) for _ in range(2))
    assert np.array_equal(one["labels"], two["labels"])
    assert np.abs(one["picture"] - two["picture"]).mean() > 0.02
    grey = np.full((2, 2, 3), 90, np.uint8)
    assert np.array_equal(recoloured(grey, 0.0, rng), grey)


def test_every_kind_of_label_file_says_the_same(pair: Path) -> None:
    truth = opened(pair).truth(0)
    assert set(np.unique(truth)) == {-1, 0, 1}
    numbers = np.where(truth < 0, 255, truth)
    grey = Image.fromarray(numbers.astype(np.uint8))
    with_palette = grey.copy()
    with_palette.putpalette([7, 7, 7] * 256)
    wide = Image.fromarray(numbers.astype(np.uint16))
    colours = np.array([*read_classes(CLASSES).colours, (0, 0, 0)], np.uint8)
    shown = Image.fromarray(colours[truth])
    for name, image in {"palette": with_palette, "wide": wide, "colours": shown}.items():
        image.save(pair / "labels" / "0.png")
        assert np.array_equal(opened(pair).truth(0), truth), name
    masks = np.where(truth == 1, 255, 0)
    for k in range(2):
        save_labels(pair, masks, f"{k}.png")
    assert np.array_equal(opened(pair, values=(0, 255)).truth(0), truth == 1)
    with pytest.raises(DataError, match="show one class, ground, of 2.*values=0,255"):
        opened(pair)


def test_whole_pictures_are_held_out(pair: Path) -> None:
    source = opened(pair, train=False)
    sample = source.sample(1, np.random.default_rng(0))
    assert sample["picture"].shape == (3, 40, 52)
    assert sample["labels"].shape == (40, 52)
    assert source.ragged == {"picture", "labels"}


def test_a_split_and_a_file_of_classes(pair: Path) -> None:
    (pair / "classes.txt").write_text("ground\nsquare\n")
    (pair / "some.txt").write_text("1\n")
    source = opened(pair, classes="", split=str(pair / "some.txt"))
    assert [Path(source.name(k)).name for k in range(len(source))] == ["1.png"]
    assert source.classes == Classes(("ground", "square"), palette(2))
    for text, message in {"": "names no picture", "1\n1": "twice", "9": "names '9'"}.items():
        (pair / "some.txt").write_text(text)
        with pytest.raises(DataError, match=message):
            opened(pair, split=str(pair / "some.txt"))


def test_the_palette_is_vocs() -> None:
    """Three entries of the development kit's: aeroplane, person and tvmonitor."""
    colours = palette(21)
    assert (colours[1], colours[15], colours[20]) == ((128, 0, 0), (192, 128, 128), (0, 64, 128))
    assert len(set(palette(256))) == 256


def lacks(folder: Path) -> None:
    (folder / "labels" / "1.png").unlink()


def smaller(folder: Path) -> None:
    save_labels(folder, np.zeros((40, 51)), "1.png")


def beyond(folder: Path) -> None:
    save_labels(folder, np.full((40, 52), 2), "1.png")


def lossy(folder: Path) -> None:
    shutil.move(folder / "labels" / "1.png", folder / "kept")
    save_labels(folder, np.zeros((40, 52)), "1.jpg")


def coloured(folder: Path) -> None:
    save_labels(folder, np.full((40, 52, 3), 9), "1.png")


def translucent(folder: Path) -> None:
    Image.new("LA", (52, 40)).save(folder / "labels" / "1.png")


def damaged(folder: Path) -> None:
    (folder / "labels" / "1.png").write_bytes(b"nothing")


def cut_short(folder: Path) -> None:
    path = folder / "labels" / "1.png"
    path.write_bytes(path.read_bytes()[:70])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lacks, r"1\.png has no labels: accepted is .*1\.png; 1 of 2 pictures have none"),
        (smaller, r"has 52 x 40 pixels, upright, and its labels .*1\.png have 51 x 40"),
        (beyond, r"1\.png hold 2: accepted are the classes' numbers, 0 to 1"),
        (lossy, r"1\.jpg are JPEG, which changes numbers"),
        (coloured, r"1\.png hold the colour #090909, which is no class's"),
        (translucent, "have the mode LA"),
        (damaged, r"cannot read the labels .*1\.png"),
        (cut_short, r"cannot read the labels .*1\.png"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_faulty_labels_are_named_before_the_training(
    pair: Path, spoil: object, message: str
) -> None:
    spoil(pair)
    with pytest.raises(DataError, match=message):
        opened(pair)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ""}, "data.classes is empty"),
        ({"classes": "a"}, "hold 1: accepted are"),
        ({"classes": "a,a"}, "hold 'a' twice"),
        ({"classes": "a,,b"}, "hold no name"),
        ({"classes": "a #ffffff, b"}, "'b' has none"),
        ({"classes": "nowhere/classes.txt"}, "cannot read the classes"),
        ({"values": (0, 0)}, "give each its own"),
        ({"values": (0,)}, "accepted is one for each"),
        ({"ignore": ()}, "hold 255: .*no number for pixels that do not count"),
        ({"scale": (2.0, 1.0)}, "the least, then the most"),
        ({"crop": (0, 9)}, "data.crop is"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    pair: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        opened(pair, **changes)


def test_a_turned_photograph_is_turned_once(pair: Path) -> None:
    picture = Image.open(pair / "pictures" / "0.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    (pair / "pictures" / "0.png").unlink()
    picture.transpose(Image.Transpose.ROTATE_90).save(
        pair / "pictures" / "0.jpg", exif=exif, quality=100, subsampling=0
    )
    sample = opened(pair, train=False).sample(0, np.random.default_rng(0))
    inside = sample["labels"] == 1
    assert sample["picture"][0][inside].mean() > sample["picture"][0][~inside].mean() + 0.5
