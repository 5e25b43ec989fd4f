"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHOW = "from multiaxis.cli.app import app; app('train --show {}', result_action='return_value')"
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PAGES = [*(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG"))]
PAGES += sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") < 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 65, node.name


DRY = (
    "from multiaxis.cli.app import app; "
    "app('{command} README.md docs/sample {more} --dry-run', result_action='return_value')"
)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "statement",
    [
        "import multiaxis; multiaxis.__all__; dir(multiaxis)",
        "import multiaxis.cli.app",
        "import multiaxis.images, multiaxis.score",
        "import multiaxis.weights.index as i; i.list_checkpoints()",
        "from multiaxis import list_models; list_models()",
        "from multiaxis.cli.app import app; app('models', result_action='return_value')",
        "import multiaxis.batch",
        "import multiaxis.tasks.detect.networks.variants",
        DRY.format(command="restore", more="--task denoise"),
        DRY.format(command="classify", more=""),
        DRY.format(command="rate", more="--weights README.md"),
        "from multiaxis.cli.app import app; app('rate learn --help', result_action='return_value')",
        "from multiaxis.cli.app import app; app('weights list', result_action='return_value')",
        "from multiaxis.cli.app import app; app('train --list', result_action='return_value')",
        SHOW.format("nano-denoise --set objective.frequency=0.2 --set data.degrade=rain"),
        SHOW.format("maxvit-tiny-in1k --set data.urls=a.tar --set valid.folder=x"),
        "from multiaxis.cli.app import app; app('--help', result_action='return_value')",
        "from multiaxis.cli.app import app; app('restore --help', result_action='return_value')",
    ],
)
def test_torch_is_not_imported_before_it_is_needed(statement: str) -> None:
    code = f"{statement}\nimport sys; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode() or "torch was imported"


@pytest.mark.thorough
def test_compilers_are_not_imported_to_build_or_load_a_model(tmp_path: Path) -> None:
    code = f"""
import json, sys
from dataclasses import asdict
from pathlib import Path
import multiaxis
from multiaxis.weights.store import write_safetensors

small = dict(features=4, num_stages=1, block_size_hr=(2, 2), grid_size_hr=(2, 2))
for name, fields in [("maxvit_pico", {{}}), ("maxim", small | dict(block_size_lr=(2, 2)))]:
    model = multiaxis.create_model(name, **fields)
    file = Path({str(tmp_path)!r}, name + ".safetensors")
    write_safetensors(file, model.state_dict(), {{"config": json.dumps(asdict(model.config))}})
    multiaxis.create_model(name, weights=file)
sys.exit("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode() or "torch._dynamo was imported"


def test_public_names_exist_and_are_typed() -> None:
    import multiaxis

    for name in multiaxis.__all__:
        assert getattr(multiaxis, name) is not None
    assert (ROOT / "src" / "multiaxis" / "py.typed").exists()
    with pytest.raises(AttributeError, match="no attribute 'restorer'"):
        multiaxis.restorer  # noqa: B018


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_lines_of_pages_stay_short(path: Path) -> None:
    long, in_code = [], False
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        is_fence = line.lstrip().startswith("```")
        in_code ^= is_fence
        if is_fence or in_code or line.startswith(("|", "    ")):
            continue
        if len(re.sub(r"\]\([^)]*\)|https?://\S+", "]", line)) >= 120:
            long.append(number)
    assert not long, f"lines {long} have 120 characters or more: break them"


def test_decisions_have_numbers_of_their_own() -> None:
    text = (ROOT / "docs" / "decisions.md").read_text("utf-8")
    numbers = re.findall(r"^\*\*(\d+)\. ", text, re.MULTILINE)
    assert sorted(map(int, numbers)) == list(range(1, len(numbers) + 1))
