"""``evaluate`` compares what ``restore`` sees: sRGB, whatever the files' profiles."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from multiaxis import Restorer
from multiaxis.cli.app import main
from multiaxis.images import to_unit
from multiaxis.score import PROTOCOLS, ScoreTable, score_pair
from multiaxis.tasks.restore.evaluate import evaluate

P3 = pyvips.Image.profile_load("p3")
RULES = ("authors", "rgb", "y")


def picture(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8))
    return small.resize((40, 32), Image.Resampling.BICUBIC)


def noisy(clean: Image.Image) -> Image.Image:
    noise = np.random.default_rng(9).normal(0, 12, (32, 40, 3))
    return Image.fromarray(np.clip(np.asarray(clean) + noise, 0, 255).astype(np.uint8))


def write(path: Path, image: Image.Image, *, wide: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not wide:
        image.save(path)
        return
    changed = ImageCms.profileToProfile(
        image,
        ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(io.BytesIO(P3)),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert changed is not None
    changed.save(path, icc_profile=P3)


def fill(folder: Path, *, wide_input: bool, wide_target: bool) -> tuple[Path, Path]:
    for k in range(2):
        write(folder / "in" / f"{k}.png", noisy(picture(k)), wide=wide_input)
        write(folder / "gt" / f"{k}.png", picture(k), wide=wide_target)
    return folder / "in", folder / "gt"


def scores(tables: list[ScoreTable]) -> np.ndarray:
    return np.array([[(r.score.psnr, r.score.ssim) for r in table.rows] for table in tables])


def test_scores_of_plain_sets_are_of_the_stored_samples(restorer: Restorer, tmp_path: Path) -> None:
    inputs, targets = fill(tmp_path, wide_input=False, wide_target=False)
    Image.open(inputs / "0.png").convert("L").save(inputs / "0.png")  # grey stands for three
    tables = evaluate(restorer, inputs, targets, protocols=RULES)
    assert not any(table.remarks for table in tables)
    for table in tables:
        for row in table.rows:
            degraded = np.asarray(Image.open(inputs / f"{row.name}.png").convert("RGB"))
            target = np.asarray(Image.open(targets / f"{row.name}.png"))
            restored = restorer.restore_values(to_unit(degraded))
            assert row.score == score_pair(restored, target, PROTOCOLS[table.protocol])


@pytest.mark.parametrize(
    ("wide_input", "wide_target"), [(True, True), (True, False), (False, True)]
)
def test_profiles_are_converted_on_both_sides(
    wide_input: bool, wide_target: bool, restorer: Restorer, tmp_path: Path
) -> None:
    plain = evaluate(
        restorer,
        *fill(tmp_path / "plain", wide_input=False, wide_target=False),
        protocols=RULES,
    )
    inputs, targets = fill(tmp_path / "wide", wide_input=wide_input, wide_target=wide_target)
    wide = evaluate(restorer, inputs, targets, protocols=RULES)
    difference = np.abs(scores(wide) - scores(plain))
    assert difference[..., 0].max() < 0.05, "dB: only what 8 bits of another space round away"
    assert difference[..., 1].max() < 0.002
    converted = [
        folder for folder, is_wide in ((inputs, wide_input), (targets, wide_target)) if is_wide
    ]
    for table in wide:
        named = {Path(name) for name, _ in table.remarks}
        assert named == {folder / f"{k}.png" for folder in converted for k in range(2)}


def test_hidden_colour_is_not_scored(restorer: Restorer, tmp_path: Path) -> None:
    alpha = np.full((32, 40, 1), 255, np.uint8)
    alpha[:16] = 0
    found: list[np.ndarray] = []
    for hidden in (0, 255):
        folder = tmp_path / str(hidden)
        for name, image in (("in", noisy(picture(1))), ("gt", picture(1))):
            (folder / name).mkdir(parents=True)
            pixels = np.asarray(image).copy()
            pixels[:16] = hidden if name == "in" else 255 - hidden
            Image.fromarray(np.dstack([pixels, alpha])).save(folder / name / "a.png")
        found.append(scores(evaluate(restorer, folder / "in", folder / "gt", protocols=RULES)))
    assert np.array_equal(*found)
    assert found[0][..., 0].min() > 20


def test_the_command_says_what_is_compared(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs, targets = fill(tmp_path, wide_input=True, wide_target=False)
    Image.open(inputs / "1.png").convert("CMYK").save(inputs / "1.jpg", quality=95)
    (inputs / "1.png").unlink()
    for folder in (inputs, targets):  # a folder inside counts
        write(folder / "more" / "x_1.png", picture(5), wide=False)
    (targets / "more" / "x_1.png").rename(targets / "more" / "x.png")
    words = ["--task", "derain", "--input", inputs, "--target", targets, "--weights", weights]
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", *map(str, words), "--csv", str(tmp_path)])
    told = capsys.readouterr()
    assert caught.value.code == 0, told.err
    assert f"as restore sees it: 1 files, such as {inputs / '0.png'}" in told.out
    assert f"converted to sRGB: 1 files, such as {inputs / '1.jpg'}" in told.out
    assert "mean of 3 " in told.out
    with (tmp_path / "derain-rgb.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["0", "1", "more/x_1", "mean"]
