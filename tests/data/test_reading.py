"""One reader for all training data, and whatever cannot be read costs only itself."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

import small_recipe
from multiaxis.data.load import Share, passes
from multiaxis.data.numbered import NumberedSamples
from multiaxis.data.pictures import Pictures, read_levels
from multiaxis.errors import ImageError
from multiaxis.tasks.classify.samples import ClassFolders, ClassShards
from multiaxis.tasks.restore.samples import CleanPhotographs, PairedFolders, PairShards

RNG = np.random.default_rng(3)
COLOURS = RNG.integers(0, 256, (20, 26, 4), np.uint8)


def p3(path: Path) -> None:
    profile = pyvips.Image.profile_load("p3")
    Image.fromarray(COLOURS[..., :3]).save(path, icc_profile=profile)


def hidden(path: Path) -> None:
    values = COLOURS.copy()
    values[..., 3] = np.where(COLOURS[..., 3] < 128, 0, 255)
    Image.fromarray(values).save(path)


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(COLOURS[..., :3]).save(path, exif=exif, quality=95)


def deep(path: Path) -> None:
    tifffile.imwrite(path, RNG.integers(0, 65536, (20, 26, 3), np.uint16), photometric="rgb")


def deep_p3(path: Path) -> None:
    values = RNG.integers(0, 65536, (20, 26, 3), np.uint16)
    image = pyvips.Image.new_from_array(values, interpretation="rgb16")
    image.set_type(
        pyvips.GValue.blob_type,
        "icc-profile-data",
        pyvips.Image.profile_load("p3"),
    )
    image.write_to_file(str(path))


def deep_grey(path: Path) -> None:
    Image.fromarray(RNG.integers(0, 65536, (20, 26), np.uint16)).save(path)


def floats(path: Path) -> None:
    tifffile.imwrite(path, RNG.random((20, 26, 3), np.float32), photometric="rgb")


def grey(path: Path) -> None:
    Image.fromarray(COLOURS[..., 0]).save(path)


def inks(path: Path) -> None:
    Image.fromarray(COLOURS, "CMYK").save(path, quality=95)


def palette(path: Path) -> None:
    Image.fromarray(COLOURS[..., :3]).quantize(9).save(path)


KINDS = [
    (p3, "png"),
    (hidden, "png"),
    (hidden, "webp"),
    (turned, "jpg"),
    (turned, "jpeg"),
    (deep, "tif"),
    (deep_p3, "png"),
    (deep_grey, "png"),
    (floats, "tiff"),
    (grey, "jpg"),
    (inks, "jpg"),
    (palette, "png"),
]


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize(("write", "suffix"), KINDS)
def test_folders_and_shards_give_the_same_samples(
    write: Callable[[Path], None], suffix: str, tmp_path: Path
) -> None:
    for folder in ("in", "gt", "classes/one"):
        (tmp_path / folder).mkdir(parents=True)
    small_recipe.make_pictures(tmp_path / "gt", 1, 26)
    path = tmp_path / "in" / f"0.{suffix}"
    write(path)
    levels = read_levels(path)
    target = Image.open(tmp_path / "gt" / "0.png").resize(levels.shape[1::-1])
    target.save(tmp_path / "gt" / "0.png")
    shutil.copy(path, tmp_path / "classes" / "one")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(path, f"a.input.{suffix}")
        tar.add(tmp_path / "gt" / "0.png", "a.target.png")
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        tar.add(path, f"a.{suffix.upper()}")
        label = tarfile.TarInfo("a.cls")
        label.size = 1
        tar.addfile(label, io.BytesIO(b"0"))

    pairs = PairedFolders(
        inputs=str(tmp_path / "in"), targets=str(tmp_path / "gt"), crop=16, mixup=0.0
    ).open()
    spec = PairShards(urls=str(tmp_path / "a.tar"), crop=16, shuffle=1)
    (made,) = passes(spec.open(), 5, Share(1), first=0, end=1)
    x, y = pairs.sample(0, np.random.default_rng((5, 0, 0))).values()
    assert np.array_equal(made["degraded"][0].permute(1, 2, 0).numpy(), x)
    assert np.array_equal(made["target"][0].permute(1, 2, 0).numpy(), y)

    more = {"size": 16, "layers": 1, "magnitude": 5}
    classes = ClassFolders(folder=str(tmp_path / "classes"), **more).open()
    spec = ClassShards(urls=str(tmp_path / "b.tar"), classes=1, shuffle=1, **more)
    (made,) = passes(spec.open(), 5, Share(1), first=0, end=1)
    x = classes.sample(0, np.random.default_rng((5, 0, 0)))["picture"]
    assert np.array_equal(made["picture"][0].permute(1, 2, 0).numpy(), x)


def test_profiles_and_hidden_colour_are_honoured(tmp_path: Path) -> None:
    """Not only alike: right, by a second library."""
    from PIL import ImageCms

    p3(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as file:
        wanted = ImageCms.profileToProfile(
            file,
            ImageCms.ImageCmsProfile(io.BytesIO(file.info["icc_profile"])),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    found = read_levels(tmp_path / "a.png").astype(int)
    assert np.abs(found - np.asarray(wanted)).max() <= 2
    assert np.abs(found - COLOURS[..., :3]).max() > 20
    hidden(tmp_path / "b.png")
    unseen = COLOURS[..., 3] < 128
    found = read_levels(tmp_path / "b.png")
    assert (found[~unseen] == COLOURS[..., :3][~unseen]).all()
    assert not (found[unseen] == COLOURS[..., :3][unseen]).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.float32(1.01), "its floats lie between .* and 1.01; accepted is the range 0 to 1"),
        (np.float32(-3), "its floats lie between -3 and "),
        (np.float32(65535), "and 65535; accepted is"),
        (np.float32(np.nan), "its floats hold NaN or infinite values"),
        (np.float32(np.inf), "its floats hold NaN or infinite values"),
        (np.float32(-np.inf), "its floats hold NaN or infinite values"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_floats_outside_the_range_are_no_sample(
    values: np.float32, message: str, channels: int, tmp_path: Path
) -> None:
    shape = (20, 20, 3)[: 2 + channels // 3]
    pixels = RNG.random(shape, np.float32)
    pixels.flat[7] = values
    kind = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=kind)
    with pytest.raises(ImageError, match=f"a.tif: .*{message}"):
        read_levels(tmp_path / "a.tif")
    small_recipe.make_pictures(tmp_path, 1)
    source = CleanPhotographs(folder=str(tmp_path), degrade=(), crop=16).open()
    samples = [NumberedSamples(source, 0)[k] for k in range(2)]
    named = [complaint for sample in samples for complaint in sample.complaints]
    assert named
    assert all("a.tif" in complaint for complaint in named)


def test_floats_that_round_into_the_range_are_taken(tmp_path: Path) -> None:
    pixels = np.full((20, 20, 3), 1 + 1e-6, np.float32)
    pixels[0] = -1e-6
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    found = read_levels(tmp_path / "a.tif")
    assert set(found[0].flat) == {0}
    assert set(found[1:].flat) == {255}


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:70])


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.png")


def circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def words(path: Path) -> None:
    path.write_bytes(b"no picture, but some words about one")


DAMAGES = [nothing, cut_short, pipe, broken_link, circle, device, words]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("side", ["in", "gt"])
def test_an_unreadable_half_of_a_pair_is_named_and_left_out(
    damage: Callable[[Path], None], side: str, tmp_path: Path
) -> None:
    for folder in ("in", "gt"):
        small_recipe.make_pictures(tmp_path / folder)
    damage(tmp_path / side / "1.png")
    source = PairedFolders(
        inputs=str(tmp_path / "in"), targets=str(tmp_path / "gt"), crop=16, mixup=0.9
    ).open()
    samples = NumberedSamples(source, 0)
    complaints = {c for number in range(12) for c in samples[number].complaints}
    assert len(complaints) == 1, "it is named alike wherever it turns up, so named once"
    assert str(tmp_path / side / "1.png") in complaints.pop()


@pytest.mark.parametrize("damage", DAMAGES)
def test_unreadable_photographs_and_class_members(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    small_recipe.make_pictures(tmp_path / "all" / "cat")
    damage(tmp_path / "all" / "cat" / "1.png")
    for source in (
        CleanPhotographs(folder=str(tmp_path), degrade=(), crop=16, mixup=0.5).open(),
        ClassFolders(folder=str(tmp_path / "all"), size=16).open(),
    ):
        assert len(source) == 3
        samples = NumberedSamples(source, 0)
        complaints = {c for number in range(12) for c in samples[number].complaints}
        assert len(complaints) == 1
        assert str(tmp_path / "all" / "cat" / "1.png") in complaints.pop()


def test_what_vanishes_or_is_locked_while_training_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_recipe.make_pictures(tmp_path / "p")
    source = CleanPhotographs(folder=str(tmp_path / "p"), degrade=(), crop=16).open()
    samples = NumberedSamples(source, 0)
    (tmp_path / "p" / "0.png").unlink()
    (tmp_path / "p" / "1.png").unlink()
    (tmp_path / "p" / "1.png").mkdir()
    complaints = {c for number in range(6) for c in samples[number].complaints}
    assert len(complaints) == 2
    assert "no such file" in min(complaints)
    assert "it is a folder" in max(complaints)

    real = Path.read_bytes

    def locked(path: Path) -> bytes:
        if path.name == "2.png":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", locked)
    small_recipe.make_pictures(tmp_path / "q")
    source = CleanPhotographs(folder=str(tmp_path / "q"), degrade=(), crop=16).open()
    complaints = {c for k in range(6) for c in NumberedSamples(source, 0)[k].complaints}
    assert len(complaints) == 1
    assert "permission denied" in complaints.pop()


def test_whatever_a_decoder_raises_costs_only_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from multiaxis.data import pictures

    small_recipe.make_pictures(tmp_path, 2)
    real = pictures.decode_picture

    def surprised(data: bytes, name: str) -> object:
        if Path(name).name == "1.png":
            raise ZeroDivisionError("division by zero")
        return real(data, name)

    monkeypatch.setattr(pictures, "decode_picture", surprised)
    with pytest.raises(ImageError, match=r"1.png: unexpected ZeroDivisionError"):
        Pictures([tmp_path / "1.png"]).read(0)
    source = CleanPhotographs(folder=str(tmp_path), degrade=(), crop=16).open()
    assert any("1.png" in c for k in range(2) for c in NumberedSamples(source, 0)[k].complaints)


def test_a_bad_partner_of_mixup_costs_only_the_mixing(tmp_path: Path) -> None:
    small_recipe.make_pictures(tmp_path, 2)
    Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    source = CleanPhotographs(folder=str(tmp_path), degrade=(), crop=16, mixup=1.0).open()
    complaints = {c for k in range(12) for c in NumberedSamples(source, 0)[k].complaints}
    assert len(complaints) == 1
    assert complaints.pop().startswith(f"{tmp_path / 'small.png'}: it has 8 x 8 pixels")


def test_a_shard_with_two_pictures_of_a_name_is_no_sample(tmp_path: Path) -> None:
    files = {f"{k}.{suffix}": None for k in range(4) for suffix in ("png", "cls")}
    extra = {"2.tif": None}
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in sorted(files | extra):
            data = io.BytesIO()
            if name.endswith("cls"):
                data.write(b"9" * 5000 if name == "3.cls" else b"0")
            else:
                Image.new("RGB", (20, 20)).save(data, "PNG")
            about = tarfile.TarInfo(name)
            about.size = data.tell()
            data.seek(0)
            tar.addfile(about, data)
    spec = ClassShards(urls=str(tmp_path / "a.tar"), classes=1, size=16, shuffle=1, train=False)
    made = list(passes(spec.open(), 0, Share(4), first=0, end=2))
    complaints = {c for sample in made for c in sample.complaints}
    assert sorted(c.partition("a.tar: ")[2][:40] for c in complaints) == [
        "2 has several pictures (png, tif): give ",
        "3 has the class '99999999999999999999': ",
    ]


def test_hdr_is_no_sample(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "faults"
    with pytest.raises(ImageError, match=r"01_cicp_pq.png: it is HDR .*convert it to sRGB"):
        read_levels(folder / "01_cicp_pq.png")
    assert read_levels(folder / "01_cicp_p3.png").dtype == np.uint8


def test_a_pair_whose_sizes_have_come_to_differ_is_no_sample(tmp_path: Path) -> None:
    for folder in ("in", "gt"):
        small_recipe.make_pictures(tmp_path / folder)
    source = PairedFolders(
        inputs=str(tmp_path / "in"), targets=str(tmp_path / "gt"), crop=16, mixup=0.0
    ).open()
    Image.new("RGB", (60, 40)).save(tmp_path / "gt" / "1.png")
    complaints = {c for k in range(3) for c in NumberedSamples(source, 0)[k].complaints}
    (told,) = complaints
    assert told.startswith(f"{tmp_path / 'in' / '1.png'}: it has 40 x 40 pixels, and its target 40")
