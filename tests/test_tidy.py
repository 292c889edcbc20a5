"""Nothing of one machine and nothing unfinished is left in the tree."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[1]
FOLDERS = ("device", "docs", "model_build", "provisioning", "training")
TEXT = {".md", ".py", ".sh", ".toml", ".txt", ""}
ONE_MACHINE = re.compile(r"""(?:^|["'`\s=(])(?:/(?:root|home|work|tmp)/|\.\./shared)""")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b|raise NotImplementedError")


def text_files() -> Iterator[Path]:
    yield from (TREE / name for name in ("Makefile", "README.md", "CHANGELOG.md", "pyproject.toml"))
    for folder in FOLDERS:
        for path in sorted((TREE / folder).rglob("*")):
            if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts:
                yield path


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(TREE)}:{number}: {line.strip()}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_path_of_one_machine() -> None:
    assert lines_with(ONE_MACHINE) == []


def test_no_unfinished_work() -> None:
    assert lines_with(UNFINISHED) == []


@pytest.mark.parametrize("name", ["provisioning/setup.sh", ".ci/run"])
def test_scripts_can_be_run(name: str) -> None:
    assert os.access(TREE / name, os.X_OK)
