"""The language model of docs/sequences.md runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs/sequences.md").read_text("utf-8")
EXAMPLE = max(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL), key=len)
PRINTED = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)[0]


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    short = EXAMPLE.replace("STEPS, LENGTH = 150", "STEPS, LENGTH = 2")
    assert short != EXAMPLE
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(short, "docs/sequences.md", "exec"), names)
    assert [len(answer) for answer in names["answers"]] == [40, 40]
    assert capsys.readouterr().out.startswith("Tyger Tyger, burn")


@pytest.mark.slow
def test_the_example_learns_the_poem_by_heart(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(EXAMPLE, "docs/sequences.md", "exec"), names)
    assert capsys.readouterr().out == PRINTED
    for prompt, answer in zip(names["prompts"], names["answers"]):
        assert prompt + answer in names["TEXT"]
