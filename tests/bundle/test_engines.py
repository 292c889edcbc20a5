"""Engines are found for exactly one machine and bundle, and whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ytm_bundle.bundle import Bundle
from ytm_bundle.checksums import SUMS_NAME
from ytm_bundle.engines import (
    KEY_NAME,
    REPORT_NAME,
    EngineFolder,
    EngineKey,
    EngineReport,
    GraphReport,
    engine_places,
    find_engines,
    graph_digests,
    timing_cache_path,
    writing_engines,
)
from ytm_bundle.errors import BundleError

GRAPHS = ("image_decoder", "image_encoder", "inverter")
KEY = EngineKey(
    backend="tensorrt",
    version="10.3.0.30",
    cuda="12.6",
    gpu="Orin (nvgpu)",
    compute_capability="8.7",
    l4t="36.4.3",
    options={"batch": "1", "workspace_mib": "512"},
    graphs={name: str(n) * 64 for n, name in enumerate(GRAPHS)},
)
OTHER = {
    "backend": "onnxruntime",
    "version": "10.3.0.31",
    "cuda": "12.7",
    "gpu": "Orin (nvgpu) ",
    "compute_capability": "8.6",
    "l4t": "36.4.4",
}
CHANGED = [
    *({name: value} for name, value in OTHER.items()),
    *({"options": KEY.options | {name: "9"}} for name in KEY.options),
    {"options": KEY.options | {"more": "9"}},
    {"options": {"batch": "1"}},
    *({"graphs": KEY.graphs | {name: "f" * 64}} for name in GRAPHS),
    {"graphs": KEY.graphs | {"more": "f" * 64}},
    {"graphs": {name: KEY.graphs[name] for name in GRAPHS[1:]}},
]


def report() -> EngineReport:
    graphs = tuple(
        GraphReport(
            name=name, size_bytes=9, build_s=1.5, error=1e-4, tolerance=5e-3, latency_ms=0.4
        )
        for name in GRAPHS
    )
    return EngineReport(backend="tensorrt", version=KEY.version, built={"on": "x"}, graphs=graphs)


def fill(folder: Path, content: bytes = b"engine of ") -> None:
    for name in GRAPHS:
        (folder / f"{name}.engine").write_bytes(content + name.encode())
    (folder / REPORT_NAME).write_text(report().model_dump_json(indent=2))


def write(place: Path, spoil: Callable[[Path], object] = bool) -> None:
    with writing_engines(place, KEY) as folder:
        fill(folder)
        spoil(folder)


def interrupt(folder: Path) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """With engines for `KEY`."""
    place = tmp_path / "engines"
    write(place)
    return place


def found(place: Path, key: EngineKey = KEY) -> tuple[EngineFolder | None, list[str]]:
    problems: list[str] = []
    return find_engines([place], key, problems), problems


def test_what_was_written_is_found(place: Path) -> None:
    engines, problems = found(place)
    assert engines is not None
    assert problems == []
    assert (engines.folder, engines.key, engines.report) == (place / KEY.folder, KEY, report())
    assert engines.engine_path("inverter").read_bytes() == b"engine of inverter"
    assert {path.name for path in engines.folder.iterdir()} == {
        *(f"{name}.engine" for name in GRAPHS),
        KEY_NAME,
        REPORT_NAME,
        SUMS_NAME,
    }


def test_sha256sum_agrees_with_the_list(place: Path) -> None:
    check = ["sha256sum", "--check", "--strict", "--quiet", SUMS_NAME]
    done = subprocess.run(check, cwd=place / KEY.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("changed", CHANGED, ids=lambda each: json.dumps(each)[:40])
def test_whatever_differs_in_the_key_the_engines_are_not_those(
    place: Path, changed: dict[str, object]
) -> None:
    other = KEY.model_copy(update=changed)
    assert other.folder != KEY.folder
    assert found(place, other) == (None, [])
    # Nor where somebody gave the folder the other name.
    shutil.copytree(place / KEY.folder, place / other.folder)
    engines, problems = found(place, other)
    assert engines is None
    assert problems == [
        f"{place / other.folder / KEY_NAME}: of another machine, version or bundle; not loaded"
    ]


def test_the_timing_cache_belongs_to_the_machine_and_not_to_the_bundle(place: Path) -> None:
    for changed in CHANGED:
        other = KEY.model_copy(update=changed)
        same = timing_cache_path(place, other) == timing_cache_path(place, KEY)
        assert same == ("graphs" in changed), changed


def test_the_key_is_the_same_in_whatever_order_it_was_put_together() -> None:
    turned = {
        "options": dict(reversed(list(KEY.options.items()))),
        "graphs": dict(reversed(list(KEY.graphs.items()))),
    }
    other = KEY.model_copy(update=turned)
    assert list(other.graphs) != list(KEY.graphs)
    assert (other, other.digest) == (KEY, KEY.digest)
    assert EngineKey.model_validate_json(KEY.model_dump_json()) == KEY


def test_one_flipped_bit_in_any_file_is_named_and_nothing_is_loaded(place: Path) -> None:
    paths = sorted((place / KEY.folder).iterdir())
    assert len(paths) == len(GRAPHS) + 3
    for path in paths:
        good = path.read_bytes()
        for at in {*range(0, len(good), 19), len(good) - 1}:
            bad = bytearray(good)
            bad[at] ^= 1 << at % 8
            path.write_bytes(bad)
            engines, problems = found(place)
            assert engines is None, path
            assert len(problems) == 1
            assert str(path) in problems[0]
        path.write_bytes(good)
    assert found(place)[0] is not None


def test_a_missing_or_added_file_is_named(place: Path) -> None:
    for path in sorted((place / KEY.folder).iterdir()):
        if path.name == SUMS_NAME:
            continue
        good = path.read_bytes()
        path.unlink()
        engines, problems = found(place)
        assert engines is None
        assert str(path) in problems[0]
        path.write_bytes(good)
    (place / KEY.folder / "more.engine").touch()
    engines, problems = found(place)
    assert engines is None
    assert "more.engine: not listed" in problems[0]


def test_a_folder_without_its_sums_is_not_finished_and_no_fault(place: Path) -> None:
    (place / KEY.folder / SUMS_NAME).unlink()
    assert found(place) == (None, [])
    assert found(place.parent / "nowhere") == (None, [])


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"backend": "tensorrt"}', "\x00" * 99, "9" * (1 << 21), '{"a": NaN}']
)
@pytest.mark.parametrize("name", [KEY_NAME, REPORT_NAME])
def test_what_is_no_key_or_report_is_named(place: Path, name: str, text: str) -> None:
    (place / KEY.folder / name).write_text(text)
    engines, problems = found(place)
    assert engines is None
    assert str(place / KEY.folder / name) in problems[0]


def test_a_link_is_no_engine(place: Path, tmp_path: Path) -> None:
    path = place / KEY.folder / "inverter.engine"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert found(place)[0] is None


def test_damaged_engines_give_way_to_sound_ones_elsewhere(place: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(place, data / "engines")
    (place / KEY.folder / "inverter.engine").write_bytes(b"x")
    (tmp_path / "other").mkdir()
    places = engine_places(place.parent, data)
    assert places == (place, data / "engines")
    problems: list[str] = []
    engines = find_engines(places, KEY, problems)
    assert engines is not None
    assert engines.folder == data / "engines" / KEY.folder
    assert "inverter.engine: damaged" in problems[0]
    assert problems[0].endswith("; build the engines again")


def test_nothing_can_be_looked_for_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "bundle.ytm").touch()
    assert engine_places(tmp_path / "bundle.ytm", tmp_path) == (tmp_path / "engines",)


def test_engines_take_the_place_of_those_before_and_leave_others_alone(place: Path) -> None:
    other = KEY.model_copy(update={"l4t": "39.2"})
    with writing_engines(place, other) as folder:
        fill(folder)
    before, _ = found(place)
    with writing_engines(place, KEY) as folder:
        fill(folder, b"better engine of ")
        # Meanwhile those before are there.
        assert found(place) == (before, [])
    after, _ = found(place)
    assert before is not None
    assert after is not None
    assert after.id != before.id
    assert after.engine_path("inverter").read_bytes() == b"better engine of inverter"
    assert found(place, other)[0] is not None
    assert {path.name for path in place.iterdir()} == {KEY.folder, other.folder}


def test_a_build_that_fails_leaves_what_was_there(place: Path) -> None:
    before = found(place)
    with pytest.raises(KeyboardInterrupt):
        write(place, interrupt)
    with pytest.raises(BundleError, match=r"image_encoder\.engine: missing"):
        write(place, lambda folder: (folder / "image_encoder.engine").unlink())
    assert found(place) == before
    assert [path.name for path in place.iterdir()] == [KEY.folder]


def test_what_a_killed_build_left_goes_with_the_next(place: Path) -> None:
    (place / f".{KEY.folder}.{os.getpid()}.partial").mkdir()
    write(place)
    assert [path.name for path in place.iterdir()] == [KEY.folder]


def test_two_do_not_build_in_one_place(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(BundleError, match="another process builds engines there"):
            write(place)
    finally:
        os.close(descriptor)
    (place / KEY.folder / SUMS_NAME).touch()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match=r"file/engines: engines cannot be written there"):
        write(tmp_path / "file" / "engines")


def test_a_graphs_digest_is_that_of_its_file(tiny_bundle: Bundle) -> None:
    digests = graph_digests(tiny_bundle)
    assert set(digests) == set(tiny_bundle.manifest.graphs)
    listed = (tiny_bundle.folder / SUMS_NAME).read_text()
    for name, digest in digests.items():
        assert f"{digest}  graphs/{name}.onnx\n" in listed
