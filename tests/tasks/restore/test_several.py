"""Files of several pages or frames: one job each, every picture restored."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from batches import plan_jobs, run_jobs
from multiaxis import Restorer, restore
from multiaxis.errors import ImageError
from multiaxis.images import read_picture
from multiaxis.tasks.restore.output import Output

tifffile = pytest.importorskip("tifffile")


@pytest.fixture
def pages(tmp_path):
    rng = np.random.default_rng(3)
    samples = [rng.integers(0, 255, (24 + 4 * n, 32, 3), dtype=np.uint8) for n in range(3)]
    with tifffile.TiffWriter(tmp_path / "scan.tif") as file:
        for page in samples:
            file.write(page, photometric="rgb", metadata=None)
    return tmp_path / "scan.tif", samples


@pytest.fixture
def frames(tmp_path):
    rng = np.random.default_rng(4)
    images = [Image.fromarray(rng.integers(1, 255, (24, 32, 4), dtype=np.uint8)) for _ in range(3)]
    images[0].save(
        tmp_path / "moving.webp", save_all=True, append_images=images[1:], duration=[50, 60, 70],
        lossless=True, exact=True, loop=2,
    )  # fmt: skip
    return tmp_path / "moving.webp", images


def one_by_one(restorer, samples, tmp_path):
    """Restore each as a file of its own."""
    for number, one in enumerate(samples):
        Image.fromarray(np.asarray(one)).save(tmp_path / f"{number}.png")
        picture = read_picture(tmp_path / f"{number}.png")
        yield restorer.restore_picture(picture).pixels


def test_pages_are_restored_as_files_of_their_own_would_be(pages, weights, tmp_path):
    source, samples = pages
    restorer = Restorer("derain", weights=weights)
    plan = plan_jobs([str(source)], str(tmp_path / "out"), suffix="_x")
    fractions = []
    (result,) = run_jobs(restorer, plan.jobs, on_progress=fractions.append)
    assert (result.error, result.job.header.amount) == (None, pytest.approx(3 * 24 * 32 / 1e6))
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    with tifffile.TiffFile(tmp_path / "out" / "scan.tif") as file:
        for page, wanted in zip(file.pages, one_by_one(restorer, samples, tmp_path), strict=True):
            np.testing.assert_array_equal(page.asarray(), wanted)


@pytest.mark.thorough
def test_frames_are_restored_and_keep_their_times(frames, weights, tmp_path):
    source, images = frames
    restore(source, task="derain", weights=weights, output=tmp_path / "b.png")
    restorer = Restorer("derain", weights=weights)
    with Image.open(tmp_path / "b.png") as moving:
        assert (moving.n_frames, moving.info["loop"]) == (3, 2)
        for number, wanted in enumerate(one_by_one(restorer, images, tmp_path)):
            moving.seek(number)
            np.testing.assert_array_equal(np.asarray(moving.convert("RGBA"))[..., :3], wanted)
            assert moving.info["duration"] == pytest.approx(50 + 10 * number)


def test_plans_refuse_formats_that_cannot_hold_them(pages, frames, tmp_path):
    names = [str(pages[0]), str(frames[0])]
    plan = plan_jobs(names, str(tmp_path / "out"), suffix="", options=Output(format="jpg"))
    assert not plan.jobs
    assert ["cannot hold the 3" in reason for _, reason in plan.refused] == [True, True]
    plan = plan_jobs(names, str(tmp_path / "out"), suffix="")
    assert [job.header.amount for job in plan.jobs] == pytest.approx([0.002304, 0.002304])


def test_one_damaged_page_costs_its_file_alone(pages, frames, weights, tmp_path):
    data = pages[0].read_bytes()
    strip = data.index(pages[1][2].tobytes()[:64])
    assert strip > 0
    pages[0].write_bytes(data[: strip + 100])  # the last page's samples end early
    plan = plan_jobs([str(pages[0]), str(frames[0])], str(tmp_path / "out"), suffix="")
    results = run_jobs(Restorer("derain", weights=weights), plan.jobs)
    errors = [reason for _, reason in plan.refused] + [one.error for one in results if one.error]
    assert len(errors) == 1
    assert "scan.tif" in errors[0]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["moving.webp"]


def test_several_pictures_need_an_output(pages, weights):
    with pytest.raises(ImageError, match="one picture is wanted here"):
        restore(pages[0], task="derain", weights=weights)
