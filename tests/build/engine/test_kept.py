"""On a board the newest engines stay, and nothing that is none is ever removed."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from built_engines import build_engines as written
from ytm_build.engine.build import build_engines
from ytm_build.engine.choice import KEPT, kept_in
from ytm_build.engine.events import Event, Said
from ytm_build.engine.onnx import OnnxBuilder
from ytm_bundle.bundle import Bundle
from ytm_bundle.checksums import SUMS_NAME
from ytm_bundle.engines import EngineFolder, EngineReport, find_engines, remove_old
from ytm_device.engines.platform import onnx_key


def _of_versions(bundle: Bundle, place: Path, count: int) -> list[Path]:
    """Engines of as many versions of what runs them, the first one the oldest."""
    folders = []
    for number in range(count):
        key = onnx_key(bundle).model_copy(update={"version": f"0.{number}"})
        folders.append(written(bundle, place, key=key))
        os.utime(folders[-1] / SUMS_NAME, (1000 + number, 1000 + number))
    return folders


def _names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


def test_a_build_on_a_board_leaves_the_newest_and_says_what_went(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    old = _of_versions(tiny_bundle, tmp_path, 5)
    others = {"timing-0123.cache", "notes"}
    for name in others:
        (tmp_path / name).mkdir()
    told: list[Event] = []
    outcome = build_engines(tiny_bundle, OnnxBuilder(), [tmp_path], told.append, keep=3)
    kept = {outcome.engines.folder.name, old[4].name, old[3].name}
    assert _names(tmp_path) == kept | others
    said = [event.text for event in told if isinstance(event, Said)]
    assert said == [f"{path}: removed, the newest 3 are kept" for path in reversed(old[:3])]
    assert find_engines([tmp_path], onnx_key(tiny_bundle)) is not None


def test_a_workstation_keeps_all(tiny_bundle: Bundle, tmp_path: Path) -> None:
    old = _of_versions(tiny_bundle, tmp_path, KEPT + 2)
    build_engines(tiny_bundle, OnnxBuilder(), [tmp_path], lambda event: None)
    assert {path.name for path in old} <= _names(tmp_path)
    assert kept_in(tmp_path / "engines", tmp_path) == KEPT
    assert kept_in(tmp_path / "bundle/engines", tmp_path) is None


def _kept(folder: Path, bundle: Bundle) -> EngineFolder:
    report = EngineReport(backend="", version="", built={}, graphs=())
    return EngineFolder(folder, "", onnx_key(bundle), report)


def test_the_one_that_was_built_stays_though_the_clock_went_back(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    first, *later = _of_versions(tiny_bundle, tmp_path, 3)
    assert remove_old(tmp_path, _kept(first, tiny_bundle), 1) == later[::-1]
    assert _names(tmp_path) == {first.name}


def test_links_and_strangers_are_left_alone(tiny_bundle: Bundle, tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "engines", tmp_path / "elsewhere"
    first, second = _of_versions(tiny_bundle, place, 2)
    (moved,) = _of_versions(tiny_bundle, elsewhere, 1)
    link = place / ("a" * len(first.name))
    link.symlink_to(moved)
    (place / ("b" * len(first.name))).mkdir()
    (place / ("c" * len(first.name))).write_text("a file")
    assert remove_old(place, _kept(second, tiny_bundle), 1) == [first]
    assert link.is_symlink()
    assert (moved / SUMS_NAME).is_file()
    assert len(_names(place)) == 4


def test_nothing_goes_while_another_builds(tiny_bundle: Bundle, tmp_path: Path) -> None:
    folders = _of_versions(tiny_bundle, tmp_path, 2)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert remove_old(tmp_path, _kept(folders[1], tiny_bundle), 1) == []
    finally:
        os.close(descriptor)
    assert len(_names(tmp_path)) == 2


def test_what_a_power_cut_left_half_removed_goes_the_next_time(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    first, second = _of_versions(tiny_bundle, tmp_path, 2)
    left = first.rename(tmp_path / f".leaving-{first.name}")
    (left / SUMS_NAME).unlink()
    assert remove_old(tmp_path, _kept(second, tiny_bundle), 4) == []
    assert _names(tmp_path) == {second.name}
