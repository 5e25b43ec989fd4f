"""What is to be known of a file comes with the picture; encoding and checking touch no file."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import PurePath

import numpy as np
import pytest
from PIL import Image

from multiaxis.errors import ImageError
from multiaxis.files.address import Remote
from multiaxis.images import (
    Frame,
    Picture,
    as_file_has_it,
    check_picture,
    check_several,
    decode_picture,
    encode_picture,
    encode_several,
    open_several,
    probe_header,
    read_picture,
    seen_by_model,
)

ADDRESS = "s3://bucket/a%20b/picture.jpg"


def cmyk(suffix="JPEG"):
    stream = io.BytesIO()
    Image.new("CMYK", (6, 4), (10, 200, 30, 40)).save(stream, suffix)
    return stream.getvalue()


def test_remarks_come_with_the_picture_and_warn_of_nothing(tmp_path):
    """Warnings are errors in tests: `decode_picture` gives none."""
    picture = decode_picture(cmyk(), ADDRESS)
    (remark,) = picture.remarks
    assert remark.startswith("its CMYK inks were converted to sRGB")
    (tmp_path / "a.jpg").write_bytes(cmyk())
    with pytest.warns(RuntimeWarning) as caught:
        assert read_picture(tmp_path / "a.jpg").remarks == (remark,)
    assert [str(one.message) for one in caught] == [f"{tmp_path / 'a.jpg'}: {remark}"]


def test_remarks_go_through_restoring(tmp_path):
    picture = decode_picture(cmyk(), ADDRESS)
    assert as_file_has_it(picture, seen_by_model(picture), "uint16").remarks == picture.remarks


@pytest.mark.parametrize("call", [decode_picture, probe_header, open_several])
@pytest.mark.parametrize("name", [ADDRESS, "https://x.org/a.png?key=1", "some folder/a.png"])
def test_errors_call_a_file_what_they_are_told(call, name, noise):
    stream = io.BytesIO()
    images = [Image.fromarray(noise(20, 30, 3)) for _ in range(2)]
    images[0].save(stream, "PNG", save_all=True, append_images=images[1:])
    # One picture is wanted where there are two; of two, the limit is broken.
    with pytest.raises(ImageError) as caught:
        call(stream.getvalue(), name, max_megapixels=1e-6)
    assert str(caught.value).startswith(f"cannot read {name}: ")


def test_a_raw_file_is_told_by_the_suffix_of_its_address():
    with pytest.raises(ImageError, match="camera raw") as caught:
        decode_picture(b"II*\0 no raw file at all", "https://x.org/photo.nef?key=1")
    assert "https://x.org/photo.nef?key=1" in str(caught.value)


@pytest.mark.parametrize("target", [PurePath("/nowhere/at/all/b.png"), Remote("s3://b/c.png")])
def test_encoding_and_checking_touch_no_file(target, noise):
    pixels = noise(9, 7, 3)
    check_picture(target, Picture(pixels))
    data, lost = encode_picture(target, Picture(pixels))
    assert lost == ()
    np.testing.assert_array_equal(decode_picture(data, "b").pixels, pixels)
    for call in (
        lambda: check_picture(target, Picture(pixels), depth="float32"),
        lambda: encode_picture(target, Picture(pixels.astype(np.float32))),
    ):
        with pytest.raises(ImageError, match="PNG cannot hold float32") as caught:
            call()
        assert str(caught.value).startswith(f"cannot write {target}: ")


def test_several_are_encoded_without_a_file(noise):
    stream = io.BytesIO()
    images = [Image.fromarray(noise(20, 30, 3)) for _ in range(3)]
    images[0].save(
        stream, "WEBP", save_all=True, append_images=images[1:], lossless=True, exact=True,
        duration=50,
    )  # fmt: skip
    several = open_several(stream.getvalue(), "s3://b/moving.webp")
    target = Remote("s3://b/out/moving.png")
    check_several(target, several)
    with pytest.raises(ImageError, match="cannot hold the 3 frames of s3://b/moving.webp"):
        check_several(Remote("s3://b/out/moving.tif"), several)
    frames = [Frame(encode_picture(target, one)[0], time) for one, time in several.pictures()]
    data, lost = encode_several(target, frames, several)
    assert lost == ()
    again = list(open_several(data, "again").pictures())
    assert [time for _, time in again] == [Fraction(1, 20)] * 3
    for (one, _), image in zip(again, images, strict=True):
        np.testing.assert_array_equal(one.pixels, np.asarray(image))
