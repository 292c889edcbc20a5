"""Files and folders that are replaced at once, whatever a power cut left beside them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ytm_bundle.files import replacing, replacing_folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "bundle"
    path.mkdir()
    (path / "old").touch()
    return path


def leave(path: Path, suffix: str) -> None:
    """Leave what a process of this one's number would that lost its power."""
    left = path.with_name(f".{path.name}.{os.getpid()}.{suffix}")
    left.mkdir()
    (left / "half").touch()


@pytest.mark.parametrize("left", [(), ("partial",), ("old",), ("partial", "old")])
def test_a_folder_is_replaced_whatever_a_power_cut_left(
    folder: Path, left: tuple[str, ...]
) -> None:
    for suffix in left:
        leave(folder, suffix)
    with replacing_folder(folder) as temporary:
        (temporary / "new").touch()
    assert names(folder) == {"new"}
    assert names(folder.parent) == {"bundle"}


def test_a_folder_stays_where_the_other_failed(folder: Path) -> None:
    leave(folder, "partial")
    with pytest.raises(FileNotFoundError), replacing_folder(folder) as temporary:
        (temporary / "missing" / "new").touch()
    assert names(folder) == {"old"}
    assert names(folder.parent) == {"bundle"}


def test_a_file_is_replaced_whatever_a_power_cut_left(tmp_path: Path) -> None:
    path = tmp_path / "mirror.toml"
    path.write_text("old")
    (tmp_path / f".mirror.{os.getpid()}.partial.toml").write_text("ha")
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert names(tmp_path) == {"mirror.toml"}
