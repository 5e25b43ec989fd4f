"""Annotations: every fault has a sentence before anything is trained, and boxes follow tags."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as tools

from multiaxis.errors import DataError, MissingExtraError
from multiaxis.tasks.detect import extras
from multiaxis.tasks.detect.annotations import read_annotations, turn, with_pictures
from multiaxis.tasks.detect.masks import decode, fault_of
from multiaxis.tasks.detect.truth import Truth

SQUARE = [2.0, 1.0, 6.0, 1.0, 6.0, 5.0, 2.0, 5.0]
COCO: dict[str, Any] = {
    "images": [
        {"id": 7, "file_name": "a.png", "width": 12, "height": 8},
        {"id": 9, "file_name": "b.png", "width": 12, "height": 8},
    ],
    "categories": [{"id": 3, "name": "cat"}, {"id": 90, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 90, "bbox": [2, 1, 4, 4], "segmentation": [SQUARE]},
        {"id": 2, "image_id": 7, "category_id": 3, "bbox": [8, 2, 3, 3], "area": 5, "iscrowd": 1},
    ],
}


def write(folder: Path, content: Any = COCO, name: str = "coco.json") -> Path:
    for picture in ("a.png", "b.png"):
        Image.new("RGB", (12, 8), "white").save(folder / picture)
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_coco_is_read(tmp_path: Path) -> None:
    truth = read_annotations(write(tmp_path))
    assert truth.names == ["cat", "dog"]
    first, second = truth.pictures
    square, crowd = first.instances
    assert (square.label, square.box, square.area) == (1, (2, 1, 6, 5), 16)
    assert (crowd.label, crowd.crowd, crowd.area) == (0, True, 5)
    assert second.instances == ()
    assert decode(square.mask, 8, 12).sum() == 16
    assert truth.without_mask() is None
    written = truth.as_coco()
    assert written["annotations"][0]["category_id"] == 90
    assert with_pictures(truth, tmp_path, drawn="upright") == truth


Change = Callable[[dict[str, Any]], Any]


def entry(**changed: Any) -> Change:
    return lambda coco: coco["annotations"][0].update(changed)


FAULTS: dict[str, tuple[Change, str]] = {
    "empty box": (entry(bbox=[1, 1, 0, 4]), r"annotation 1 of a.png has the empty box \[1, 1, 0"),
    "turned box": (entry(bbox=[5, 5, -3, 2]), "the empty box"),
    "box outside": (entry(bbox=[12, 1, 3, 3]), "outside the picture of 12 x 8"),
    "box above": (entry(bbox=[1, -9, 3, 3]), "outside the picture of 12 x 8"),
    "three numbers": (entry(bbox=[1, 1, 3]), "accepted are four numbers"),
    "no number": (entry(bbox=[1, 1, 3, float("nan")]), "accepted are four numbers"),
    "text": (entry(bbox=["1", 1, 3, 3]), "accepted are four numbers"),
    "no box": (lambda c: c["annotations"][0].pop("bbox"), "has the box None"),
    "same id": (lambda c: c["annotations"][1].update(id=1), "annotation 1 repeats the id"),
    "no id": (lambda c: c["annotations"][0].pop("id"), r"annotation \{'image_id': 7.* has no id"),
    "text as id": (entry(id="one"), "annotation one has no id that is a whole number"),
    "unknown picture": (entry(image_id=8), "is of the image 8, which is not listed"),
    "picture as list": (entry(image_id=[7]), "which is not listed"),
    "unknown class": (entry(category_id=1), "is of the category 1, which is not listed"),
    "no picture id": (lambda c: c["annotations"][0].pop("image_id"), "1 has no image_id, as inst"),
    "no class": (lambda c: c["annotations"][0].pop("category_id"), "captions and panoptic files"),
    "area as text": (entry(area="big"), "a.png has the area 'big': accepted is a number from 0"),
    "negative area": (entry(area=-1), "has the area"),
    "crowd": (entry(iscrowd=2), "has iscrowd 2: accepted is 0 or 1"),
    "four numbers": (entry(segmentation=[[1, 1, 3, 3]]), "of 3 corners or more"),
    "odd polygon": (entry(segmentation=[[1, 1, 3, 3, 5, 1, 2]]), "of 3 corners or more"),
    "far polygon": (entry(segmentation=[[0, 0, 1e12, 0, 1, 1]]), "far away"),
    "polygon outside": (entry(segmentation=[[20, 1, 24, 1, 24, 5]]), "a mask outside the picture"),
    "mask of text": (entry(segmentation="x"), "a mask that is a str"),
    "size of mask": (
        entry(segmentation={"size": [12, 8], "counts": [90, 6]}),
        r"its picture has \[height, width\] = \[8, 12\]",
    ),
    "short runs": (entry(segmentation={"size": [8, 12], "counts": [90, 5]}), "a mask of 95 pixels"),
    "long runs": (entry(segmentation={"size": [8, 12], "counts": [10**12, 5]}), "its picture has"),
    "negative runs": (
        entry(segmentation={"size": [8, 12], "counts": [97, -1]}),
        "run lengths cannot be read",
    ),
    "damaged text": (
        entry(segmentation={"size": [8, 12], "counts": "\x01\x02"}),
        "run lengths cannot be read",
    ),
    "empty mask": (entry(segmentation={"size": [8, 12], "counts": [96]}), "an empty mask"),
    "no object": (lambda c: c["annotations"].append(3), "annotation 3 is no object"),
    "same picture id": (lambda c: c["images"][1].update(id=7), "a.png and b.png have the same id"),
    "same file": (lambda c: c["images"][1].update(file_name="a.png"), "have the same file_name"),
    "no size": (lambda c: c["images"][1].pop("width"), "the image b.png has the size None x 8"),
    "no name": (lambda c: c["images"][1].pop("file_name"), "and a file_name"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_of_coco_have_a_sentence_or_are_left_out(kind: str, tmp_path: Path) -> None:
    change, message = FAULTS[kind]
    coco = copy.deepcopy(COCO)
    change(coco)
    path = write(tmp_path, coco)
    with pytest.raises(DataError, match=message) as told:
        read_annotations(path)
    assert str(told.value).startswith(f"{path} has ")
    assert "strict=false" in str(told.value)
    truth = read_annotations(path, strict=False)
    (remark,) = truth.remarks
    assert "left out" in remark
    things = [thing for picture in truth.pictures for thing in picture.instances]
    assert len(things) <= 2


WHOLE: dict[str, tuple[str, str]] = {
    "no JSON": ("{", "is no JSON"),
    "deep": ("[" * 100_000, "is no JSON"),
    "results": ("[]", "as results of a detector do"),
    "captions": ('{"images": [], "annotations": []}', "accepted is an object with lists of images"),
    "no classes": ('{"images": [], "annotations": [], "categories": []}', "has no categories"),
    "no pictures": (
        '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "x"}]}',
        "lists no pictures",
    ),
    "same class": (
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "x"}, '
            '{"id": 2, "name": "x"}]}'
        ),
        "two categories of the id 2 or the name 'x'",
    ),
    "class without name": (
        '{"images": [], "annotations": [], "categories": [{"id": 1}]}',
        "the category {'id': 1}",
    ),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_files_that_are_no_annotations(kind: str, tmp_path: Path) -> None:
    text, message = WHOLE[kind]
    with pytest.raises(DataError, match=message):
        read_annotations(write(tmp_path, text))


def test_a_fault_of_a_picture_is_told_once(tmp_path: Path) -> None:
    """Not again for each thing in it."""
    coco = copy.deepcopy(COCO)
    coco["images"][0].update(width="12")
    with pytest.raises(DataError, match="has 1 fault: the image a.png has the size '12' x 8"):
        read_annotations(write(tmp_path, coco))


def test_many_faults_are_counted(tmp_path: Path) -> None:
    coco = copy.deepcopy(COCO)
    coco["annotations"] += [{"id": k} for k in range(10, 30)]
    with pytest.raises(DataError, match="20 faults: .*; and 16 more"):
        read_annotations(write(tmp_path, coco))


def test_missing_and_other_pictures(tmp_path: Path) -> None:
    truth = read_annotations(write(tmp_path))
    (tmp_path / "a.png").unlink()
    Image.new("RGB", (9, 9)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"2 faults: cannot read .*a\.png.*b\.png has 9 x 9 pixels"):
        with_pictures(truth, tmp_path, drawn="upright")
    with pytest.raises(DataError, match="none of the pictures"):
        with_pictures(truth, tmp_path, drawn="upright", strict=False)
    with pytest.raises(DataError, match="is not a folder"):
        with_pictures(truth, tmp_path / "none", drawn="upright")
    with pytest.raises(DataError, match="no annotations by its name"):
        read_annotations(tmp_path / "labels.txt")


def test_boxes_that_reach_beyond_are_clipped_and_told(tmp_path: Path) -> None:
    coco = copy.deepcopy(COCO)
    coco["annotations"][0].update(bbox=[-2, 1, 8, 4])
    coco["annotations"][1].update(bbox=[8, 2, 4.6, 3])  # rounding
    truth = read_annotations(write(tmp_path, coco))
    assert truth.pictures[0].instances[0].box == (0, 1, 6, 5)
    assert truth.pictures[0].instances[0].given == (-2, 1, 8, 4)  # scored as the file has it
    (remark,) = truth.remarks
    assert remark.startswith("1 of ")
    assert "clipped" in remark


VOC = """<annotation><filename>{name}</filename>
<size><width>12</width><height>8</height><depth>3</depth></size>{things}</annotation>"""
THING = """<object><name>{0}</name><difficult>{5}</difficult><bndbox>
<xmin>{1}</xmin><ymin>{2}</ymin><xmax>{3}</xmax><ymax>{4}</ymax></bndbox></object>"""


def write_voc(folder: Path, *things: tuple[Any, ...], name: str = "a.png") -> Path:
    write(folder)
    labels = folder / "labels"
    labels.mkdir(exist_ok=True)
    text = "".join(THING.format(*thing) for thing in things)
    (labels / f"{Path(name).stem}.xml").write_text(VOC.format(name=name, things=text))
    return labels


def test_voc_counts_from_one(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, ("dog", 1, 1, 4, 3, 0), ("cat", 5, 2, 12, 8, 1))
    write_voc(tmp_path, name="b.png")
    truth = read_annotations(folder)
    assert truth.names == ["cat", "dog"]
    dog, cat = truth.pictures[0].instances
    assert (dog.box, dog.given, dog.crowd) == ((0, 0, 4, 3), (0, 0, 4, 3), False)
    assert (cat.box, cat.crowd) == ((4, 1, 12, 8), True)  # difficult: not scored
    assert truth.without_mask()
    assert len(with_pictures(truth, tmp_path, drawn="upright").pictures) == 2
    assert (
        read_annotations(folder, classes=["dog", "cow", "cat"]).pictures[0].instances[0].label == 0
    )


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (("dog", 4, 4, 4, 6, 0), "an empty box"),
        (("dog", 5, 4, 3, 6, 0), "an empty box"),
        (("dog", 13, 4, 20, 6, 0), "outside the picture"),
        (("dog", "x", 4, 20, 6, 0), "accepted is a number"),
        (("", 3, 4, 20, 6, 0), "no <name>"),
        (("cow", 3, 4, 20, 6, 0), "which is none of"),
        (("dog", 3, 4, 8, 6, "maybe"), "<difficult> .maybe.: accepted is 0 or 1"),
    ],
)
def test_faults_of_voc(thing: tuple[Any, ...], message: str, tmp_path: Path) -> None:
    folder = write_voc(tmp_path, thing)
    with pytest.raises(DataError, match=message):
        read_annotations(folder, classes=["dog"])
    assert read_annotations(folder, classes=["dog"], strict=False).remarks


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation>", "no XML"),
        ("<kml/>", "a <kml>: accepted is an <annotation>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "a declaration"),
        (VOC.format(name="a.png", things="").replace("12", "0"), "the size 0 x 8"),
        ("<annotation><size/></annotation>", "no <filename>"),
    ],
)
def test_files_that_are_no_voc(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(DataError, match=message):
        read_annotations(tmp_path)


def test_a_folder_without_voc(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \.xml files"):
        read_annotations(tmp_path)


def test_two_files_of_one_picture(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, ("dog", 1, 1, 4, 3, 0))
    (folder / "again.xml").write_text((folder / "a.xml").read_text())
    with pytest.raises(DataError, match=r"again\.xml repeats the picture a\.png|a\.xml repeats"):
        read_annotations(folder)


def tagged(folder: Path, orientation: int, stated: tuple[int, int]) -> Truth:
    """Annotate the dark 4 x 2 pixels of a picture of 12 x 8, as stored, whose tag turns it."""
    pixels = np.full((8, 12, 3), 255, np.uint8)
    pixels[1:3, 2:6] = 0
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(folder / "a.png", exif=exif)
    polygon = [2, 1, 6, 1, 6, 3, 2, 3]
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "width": stated[0], "height": stated[1]}],
        "categories": [{"id": 1, "name": "x"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 1, 4, 2], "segmentation": s}
            for s in ([polygon],)
        ],
    }
    (folder / "coco.json").write_text(json.dumps(coco))
    return read_annotations(folder / "coco.json")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_and_masks_follow_orientation(orientation: int, tmp_path: Path) -> None:
    from multiaxis.data.pictures import read_levels

    truth = tagged(tmp_path, orientation, (12, 8))
    (seen,) = with_pictures(truth, tmp_path, drawn="stored").pictures
    picture = read_levels(tmp_path / "a.png")
    assert picture.shape[:2] == (seen.height, seen.width)
    dark = picture[..., 0] < 128
    (thing,) = seen.instances
    left, top, right, bottom = map(int, thing.box)
    assert dark[top:bottom, left:right].all()
    assert dark.sum() == (right - left) * (bottom - top)
    np.testing.assert_array_equal(decode(thing.mask, seen.height, seen.width), dark)
    assert thing.given == (left, top, right - left, bottom - top)
    runs = {
        "size": [8, 12],
        "counts": tools.encode(np.asfortranarray(stored(), np.uint8))["counts"],
    }
    about = truth.map_pictures(lambda p: p).pictures[0]
    swapped = turn(
        type(about)(
            1, "a", 12, 8, (type(thing)(1, 0, (2, 1, 6, 3), (2, 1, 4, 2), 8, False, runs),)
        ),
        orientation,
    )
    np.testing.assert_array_equal(
        decode(swapped.instances[0].mask, swapped.height, swapped.width), dark
    )


def stored() -> np.ndarray[Any, Any]:
    mask = np.zeros((8, 12), bool)
    mask[1:3, 2:6] = True
    return mask


def test_where_sizes_do_not_tell_it_is_said(tmp_path: Path) -> None:
    truth = tagged(tmp_path, 3, (12, 8))
    seen = with_pictures(truth, tmp_path, drawn="upright")
    assert seen.pictures == truth.pictures
    assert "turned or mirrored by their tags" in seen.remarks[0]
    upright = tagged(tmp_path, 6, (8, 12))  # the size of the upright picture
    assert with_pictures(upright, tmp_path, drawn="stored") == upright


@pytest.mark.parametrize("seed", range(20))
def test_compressed_runs_are_read_as_pycocotools_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((37, 53)) < rng.uniform(0.01, 0.99)
    written = tools.encode(np.asfortranarray(mask, np.uint8))
    assert fault_of({"size": [37, 53], "counts": written["counts"].decode()}, 37, 53) == ""
    cut = written["counts"].decode()[:-1]
    assert fault_of({"size": [37, 53], "counts": cut}, 37, 53) != ""


def test_without_pycocotools_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pycocotools.mask", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'multiaxis\[detect\]'"):
        extras.need("pycocotools.mask")
