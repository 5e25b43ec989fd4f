"""``multiaxis info``: what a report of a fault needs."""

from __future__ import annotations

import json
from importlib import metadata

import pytest

from multiaxis.cli.app import main
from multiaxis.cli.info import info


def test_it_says_what_a_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["info", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert caught.value.code == 0
    assert facts["versions"]["torch"] == metadata.version("torch")
    assert "cpu" in facts["devices"]
    assert {"PNG", "camera raw"} <= facts["formats"].keys()
    assert facts["cache"].endswith("multiaxis")


def test_what_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find(name: str) -> str:
        if name == "rawpy":
            raise metadata.PackageNotFoundError
        return "1.0"

    monkeypatch.setattr("multiaxis.cli.info.metadata.version", find)
    info()
    told = capsys.readouterr().out
    assert "rawpy not installed" in told
    assert told.count("versions") == 1
