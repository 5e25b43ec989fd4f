"""What people said of photographs is read wherever it stands; what cannot be used is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from multiaxis.errors import ConfigError, DataError, ImageError
from multiaxis.tasks.rate.ratings import (
    Choices,
    Ratings,
    check_said,
    find_photos,
    rate_by_name,
    read_ratings,
)
from multiaxis.tasks.rate.scale import AVA, STARS, STARS_AND_REJECTED, Scale, find_scale
from multiaxis.tasks.rate.stars import read_marks, read_metadata, taken_at, with_stars
from small_ratings import photograph, xmp


def save(path: Path, *, stars: object = None, **tags: object) -> Path:
    """Save a photograph with XMP or EXIF tags."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image, exif = photograph(0.5, 1), Image.Exif()
    for name, value in tags.items():
        exif[int(name.removeprefix("tag"), 16)] = value
    more: dict[str, object] = {} if stars is None else {"xmp": xmp(stars)}
    if path.suffix == ".png" and stars is not None:
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp(stars).decode())
        more = {"pnginfo": text}
    if path.suffix == ".tif" and stars is not None:
        more = {"tiffinfo": {700: xmp(stars)}}
    image.save(path, exif=exif, **more)
    return path


def ratings_of(folder: Path, source: str = "xmp", scale: Scale | None = None) -> Ratings:
    found = read_ratings(find_photos(folder), source, scale)
    assert isinstance(found, Ratings)
    return found


def means(found: Ratings) -> dict[str, float]:
    return {path.name: round(found.scale.mean(x), 9) for path, x in found.shares.items()}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_stars_stand_in_every_kind_of_file(tmp_path: Path, suffix: str) -> None:
    assert read_marks(save(tmp_path / f"a.{suffix}", stars=4)).stars == 4


def test_stars_as_an_element_count_like_an_attribute(tmp_path: Path) -> None:
    packet = xmp(3).replace(b' xmp:Rating="3"/>', b"><xmp:Rating>3</xmp:Rating></rdf:Description>")
    photograph(0.5, 1).save(tmp_path / "a.jpg", xmp=packet)
    assert read_marks(tmp_path / "a.jpg").stars == 3


@pytest.mark.parametrize(("tag", "value", "stars"), [("4746", 5, 5), ("4749", 75, 4)])
def test_exif_counts_where_there_is_no_xmp(
    tmp_path: Path, tag: str, value: int, stars: int
) -> None:
    found = read_marks(save(tmp_path / "a.jpg", **{f"tag{tag}": value}))
    assert (found.stars, found.where) == (stars, "EXIF")


@pytest.mark.parametrize("name", ["a.xmp", "a.jpg.xmp"])
def test_a_sidecar_counts_before_the_file(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / "a.jpg", stars=2)
    (tmp_path / name).write_bytes(xmp(5))
    found = read_marks(path)
    assert (found.stars, found.where, found.differ) == (5, "sidecar", True)


def test_no_stars_rejected_and_what_is_beyond(tmp_path: Path) -> None:
    assert read_marks(save(tmp_path / "zero.jpg", stars=0)).stars is None
    assert read_marks(save(tmp_path / "out.jpg", stars=-1)).stars == -1
    found = read_marks(save(tmp_path / "percent.jpg", stars=80))
    assert (found.stars, found.beyond) == (None, "80")
    assert read_marks(save(tmp_path / "none.jpg")).stars is None
    save(tmp_path / "damaged.jpg")
    (tmp_path / "damaged.xmp").write_bytes(b'<x:xmpmeta Rating="5"')
    assert read_marks(tmp_path / "damaged.jpg").stars is None


def test_a_folder_of_stars_tells_what_it_lacks(tmp_path: Path) -> None:
    for k in range(3):
        save(tmp_path / f"{k}.jpg", stars=k + 2)
    save(tmp_path / "out.jpg", stars=-1)
    save(tmp_path / "none.jpg")
    save(tmp_path / "differ.jpg", stars=1)
    (tmp_path / "differ.xmp").write_bytes(xmp(5))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.docx").write_bytes(b"")
    found = ratings_of(tmp_path)
    assert found.scale == STARS_AND_REJECTED
    assert means(found) == {"0.jpg": 2, "1.jpg": 3, "2.jpg": 4, "out.jpg": 0, "differ.jpg": 5}
    told = "; ".join(found.left_out)
    for text in (
        "1 photograph is unreadable: broken.jpg",
        "1 photograph has no stars: none.jpg",
        "1 photograph has several ratings",
        "notes.docx",
    ):
        assert text in told
    assert ".xmp" not in told


def test_folders_may_be_the_ratings(tmp_path: Path) -> None:
    for name in ("1", "5", "holiday"):
        save(tmp_path / name / "a.jpg")
    found = ratings_of(tmp_path, "folders")
    assert sorted(round(found.scale.mean(x)) for x in found.shares.values()) == [1, 5]
    assert "1 photograph lies in no folder named 1 to 5: a.jpg" in found.left_out


@pytest.fixture
def four(tmp_path: Path) -> Path:
    for name in "abcd":
        save(tmp_path / "photos" / f"{name}.jpg")
    return tmp_path / "photos"


def table(tmp_path: Path, text: str, name: str = "ratings.csv") -> str:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return str(path)


def test_a_table_of_scores(four: Path, tmp_path: Path) -> None:
    text = "Name;Score\na.jpg;1\nb;2,5\nphotos/c.jpg;3\nnobody;4\nd;nan\nd;;\n"
    found = ratings_of(four, table(tmp_path, text), STARS)
    assert means(found) == {"a.jpg": 1, "b.jpg": 2.5}
    told = found.left_out
    assert "2 ratings are of a photograph that is not there: photos/c.jpg, nobody" in told
    assert "2 ratings are no number: d (nan), d (nothing)" in told
    assert "2 photographs have no rating: c.jpg, d.jpg" in told


def test_a_table_of_votes_keeps_their_shares(four: Path, tmp_path: Path) -> None:
    text = "file,1,2,3\na.jpg,1,0,3\nb.jpg,0,0,0\nc.jpg,1,-2,0\nd.jpg,0,5,5\n"
    found = ratings_of(four, table(tmp_path, text))
    assert found.scale.values == (1, 2, 3)
    assert means(found) == {"a.jpg": 2.5, "d.jpg": 2.5}
    np.testing.assert_allclose(next(iter(found.shares.values())), [0.25, 0, 0.75])
    assert "1 row has no votes: b.jpg" in found.left_out
    assert "1 row has votes that are no numbers from 0 on: c.jpg" in found.left_out


def test_the_file_of_ava(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "953619.jpg")
    text = "1 953619 0 1 5 17 38 36 15 6 5 1 1 22 1396\n2 1 2\n"
    found = ratings_of(tmp_path / "photos", table(tmp_path, text, "AVA.txt"))
    assert found.scale == AVA
    votes = np.array([0, 1, 5, 17, 38, 36, 15, 6, 5, 1])
    np.testing.assert_allclose(next(iter(found.shares.values())), votes / votes.sum())
    assert "1 row is not as AVA's: 2 1 2" in found.left_out


def test_a_photograph_that_is_rated_twice_has_the_mean(four: Path, tmp_path: Path) -> None:
    text = "name,stars\na.jpg,1\na.jpg,4\nb.jpg,3\nb.jpg,3\n"
    found = ratings_of(four, table(tmp_path, text))
    assert means(found) == {"a.jpg": 2.5, "b.jpg": 3}
    assert "1 photograph has several ratings, whose mean counts: a.jpg" in found.left_out


def test_tables_on_different_scales_are_brought_to_the_first(four: Path, tmp_path: Path) -> None:
    one = table(tmp_path, "name,score\na,1\nb,5\n", "one.csv")
    other = table(tmp_path, "name,score\nc,0\nd,80\n", "other.csv")
    found = ratings_of(four, f"{one},{other}")
    assert means(found) == {"a.jpg": 1, "b.jpg": 5, "c.jpg": 1, "d.jpg": 5}
    assert any("stretched to 1 to 5" in text for text in found.left_out)
    fixed = ratings_of(four, f"{one},{other}", STARS)
    assert means(fixed) == {"a.jpg": 1, "b.jpg": 5}
    assert any("outside of the scale: c (0), d (80)" in text for text in fixed.left_out)


@pytest.mark.parametrize(
    ("scores", "values"),
    [
        ([1, 3, 5], STARS.values),
        ([0, 5], STARS_AND_REJECTED.values),
        ([2, 9], AVA.values),
        ([4.2, 6.7], AVA.values),
        ([0, 90], tuple(range(0, 100, 10))),
    ],
)
def test_a_scale_is_found(scores: list[float], values: tuple[float, ...]) -> None:
    assert find_scale(scores).values == pytest.approx(values)
    with pytest.raises(ConfigError, match="all ratings are 40"):
        find_scale([40, 40])


def test_a_score_keeps_its_mean_and_votes_their_spread() -> None:
    scale = Scale((1, 2, 4))
    assert scale.mean(scale.shares(3.5)) == pytest.approx(3.5)
    assert scale.spread(np.array([0.5, 0, 0.5])) == pytest.approx(1.5)
    a = np.array([0.01, 0.02, 0.05, 0.12, 0.25, 0.25, 0.15, 0.09, 0.04, 0.02])
    assert AVA.mean(a) == pytest.approx(5.76)
    assert AVA.spread(a) == pytest.approx(1.6977632343763378)
    with pytest.raises(ConfigError, match="two or more that ascend"):
        Scale((3, 2))


def choices_of(folder: Path, source: str) -> Choices:
    found = read_ratings(find_photos(folder), source)
    assert isinstance(found, Choices)
    return found


def test_choices_ties_and_votes(four: Path, tmp_path: Path) -> None:
    text = (
        "a,b,choice,votes\na,b,a,1\nb,c,b.jpg,3\nb,c,tie,1\na,c,2,2\na,a,a,1\na,x,a,1\na,d,?,1\n"
        "c,b,1,1\n,b,1,1\na,b,a,0\n"
    ).replace("b,c,b.jpg,3", "b.jpg,c,b.jpg,3")
    found = choices_of(four, table(tmp_path, text))
    names = [path.stem for path in found.items]
    rows = [(names[a], names[b]) for a, b in found.rows]
    wanted = [("a", "b"), ("b", "c"), ("b", "c"), ("a", "c"), ("c", "b")]
    assert rows == wanted
    assert found.wins.tolist() == [[1, 0], [3, 0], [0.5, 0.5], [0, 2], [1, 0]]
    told = "; ".join(found.left_out)
    for text in (
        "1 pair names one picture twice: a, a",
        "1 pair has a choice that is not understood: a, d",
        "1 pair lacks a picture",
        "1 pair has no votes",
        "1 rating is of a photograph that is not there: x",
        "1 pair has votes for both sides, which all count: b.jpg, c.jpg",
    ):
        assert text in told


def test_counted_choices_and_winners(four: Path, tmp_path: Path) -> None:
    counted = "left,right,left_votes,right_votes,ties\na,b,3,1,2\n"
    assert choices_of(four, table(tmp_path, counted)).wins.tolist() == [[4, 2]]
    winners = "winner,loser\na,b\nc,d\n"
    assert choices_of(four, table(tmp_path, winners)).wins.tolist() == [[1, 0], [1, 0]]


def test_choices_with_an_original(four: Path, tmp_path: Path) -> None:
    found = choices_of(four, table(tmp_path, "reference,a,b,choice\nd,a,b,b\n"))
    assert found.references is not None
    assert found.items[found.references[0]].stem == "d"
    with pytest.raises(DataError, match="1 of 2 choices name a reference"):
        choices_of(four, table(tmp_path, "reference,a,b,choice\nd,a,b,b\n,a,b,b\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "are empty"),
        ("what is this\n1,2\n", "accepted are columns such as name,score"),
        ("name,colour\na,red\n", "accepted are columns"),
        ("a,b\nx,y\n", "name two pictures and no choice"),
    ],
)
def test_tables_that_mean_nothing_are_refused(
    four: Path, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        read_ratings(find_photos(four), table(tmp_path, text))


def test_what_cannot_be_learnt_from_is_refused(four: Path, tmp_path: Path) -> None:
    for name in range(30):
        save(four / f"{name}.jpg", stars=3)
    with pytest.raises(DataError, match="all 30 photographs are rated 3"):
        check_said(ratings_of(four))
    with pytest.raises(DataError, match="2 rated photographs: too few ratings, 20 are the least"):
        check_said(rate_by_name(find_photos(four), {"a": 1, "b": 5}))
    with pytest.raises(DataError, match="no such file"):
        read_ratings(find_photos(four), "nowhere.csv")
    path = tmp_path / "latin.csv"
    path.write_bytes(b"name,score\n\xe9,1\n")
    with pytest.raises(DataError, match="no text in UTF-8"):
        read_ratings(find_photos(four), str(path))
    with pytest.raises(DataError, match="no photographs"):
        find_photos([])


def test_two_photographs_of_one_name_are_told(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "x" / "a.jpg")
    save(tmp_path / "photos" / "y" / "a.jpg")
    source = table(tmp_path, "name,score\na.jpg,1\nx/a.jpg,2\ny/a,4\n")
    found = ratings_of(tmp_path / "photos", source)
    assert sorted(round(found.scale.mean(x)) for x in found.shares.values()) == [2, 4]
    assert "1 rating is of a name that several photographs have: a.jpg" in found.left_out


def test_a_sidecar_keeps_what_it_holds(tmp_path: Path) -> None:
    rest = b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="film" xmp:Rating'
    before = xmp(2).replace(b"xmp:Rating", rest)
    after = with_stars(before, 5)
    assert b'dc:source="film"' in after
    path = Path(shutil.copy(save(tmp_path / "a.jpg"), tmp_path / "b.jpg"))
    path.with_suffix(".xmp").write_bytes(after)
    assert read_marks(path).stars == 5
    assert read_marks(path).differ is False
    path.with_suffix(".xmp").write_bytes(with_stars(None, -1))
    assert read_marks(path).stars == -1
    with pytest.raises(ImageError, match="cannot be understood as XMP"):
        with_stars(b"<x:xmpmeta", 1)


def test_when_a_photograph_was_taken(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:05:01 10:00:01"
    exif.get_ifd(0x8769)[0x9291] = "25"
    photograph(0.5, 1).save(tmp_path / "a.jpg", exif=exif)
    moment = taken_at(read_metadata(tmp_path / "a.jpg"))
    assert moment is not None
    assert moment % 60 == pytest.approx(1.25)
    assert taken_at(read_metadata(save(tmp_path / "b.jpg"))) is None
