"""The index: what is published, under which names."""

from __future__ import annotations

import pytest

from multiaxis import list_models
from multiaxis.errors import ConfigError
from multiaxis.weights.index import (
    NpmSource,
    UrlSource,
    find_checkpoint,
    list_checkpoints,
    list_tasks,
)


def test_the_index_lists_what_is_published() -> None:
    rows = [row for row in list_checkpoints() if row.task != "classify" and not row.packaged]
    assert len(rows) == 11
    assert list_tasks() == [
        "denoise", "deblur", "derain", "dehaze-indoor", "dehaze-outdoor", "enhance", "retouch",
    ]  # fmt: skip
    assert [row.name for row in list_checkpoints("deblur")] == [
        "deblur", "deblur-reds", "deblur-realblur-r", "deblur-realblur-j",
    ]  # fmt: skip
    packaged = [row for row in rows if any(isinstance(s, NpmSource) for s in row.sources)]
    assert {row.name for row in packaged} == set(list_tasks())
    assert all(row.digest for row in packaged)
    for row in rows:
        assert isinstance(row.sources[0], UrlSource)
        assert row.model == ("maxim_s3" if row.task in {"denoise", "deblur"} else "maxim_s2")
        assert row.results
        assert "Apache-2.0" in row.licence
    with pytest.raises(ConfigError, match="did you mean derain"):
        find_checkpoint("deran")


def test_the_index_lists_the_classifiers() -> None:
    rows = [row for row in list_checkpoints() if row.task == "classify"]
    assert len(rows) == 22
    for row in rows:
        assert (row.task, row.model in list_models("maxvit*")) == ("classify", True)
        assert str(row.config["image_size"]) in row.name or "torchvision" in row.name
        assert row.results or "in21k" in row.name
    row = find_checkpoint("maxvit_xlarge_tf_512.in21k_ft_in1k")  # timm's name
    assert (row.name, str(row.results[0])) == (
        "maxvit_xlarge_512_in21k_in1k",
        "ImageNet-1K top-1 88.7 %",
    )
