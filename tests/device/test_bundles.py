from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from conftest import MakeBundle
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.errors import DeviceError
from ytm_bundle.files import replacing_folder
from ytm_device.bundles import DEMO_BUNDLE, NOTICE_S, BundleKeeper
from ytm_device.owner import Owner
from ytm_device.replay import Programme

S = 1_000_000_000
NOW_NS = 1000 * S


def _identity(path: Path) -> str:
    with open_bundle(path) as bundle:
        return bundle.id


@pytest.fixture
def bundle_path(tmp_path: Path, make_bundle: MakeBundle) -> Path:
    return make_bundle(tmp_path / "bundle", seed=1)


def _install(path: Path, made: Path) -> None:
    with replacing_folder(path) as folder:
        shutil.copytree(made, folder, dirs_exist_ok=True)


def _takeover_ns(keeper: BundleKeeper) -> int:
    """The first time at which it says that it is time to change, in steps of 50 ms."""
    now_ns = NOW_NS
    while not keeper.look(now_ns):
        now_ns += S // 20
        assert now_ns < NOW_NS + 3600 * S, "it never changes"
    return now_ns


def test_another_bundle_takes_over_at_the_next_still_in_every_service(
    tmp_path: Path, bundle_path: Path, make_bundle: MakeBundle
) -> None:
    before = _identity(bundle_path)
    other = make_bundle(tmp_path / "other", seed=2)
    with (
        BundleKeeper(lambda: bundle_path, Programme) as screen,
        BundleKeeper(lambda: bundle_path, Programme) as sound,
    ):
        assert not screen.look(NOW_NS - S)
        assert not sound.look(NOW_NS - S + 1)
        _install(bundle_path, other)
        taken_over_ns = _takeover_ns(screen)
        assert _takeover_ns(sound) == taken_over_ns
        dwell_ns = round(screen.bundle.manifest.replay.dwell_s * S)
        assert taken_over_ns % dwell_ns < S // 20
        assert taken_over_ns >= NOW_NS + NOTICE_S * S
        assert screen.bundle.id == before
        for keeper in (screen, sound):
            keeper.change()
            assert keeper.bundle.id == _identity(other)
        assert not screen.look(taken_over_ns + 10 * S)
        assert screen.problem is None


def test_another_path_is_another_bundle(
    tmp_path: Path, bundle_path: Path, make_bundle: MakeBundle
) -> None:
    places = [bundle_path]
    with BundleKeeper(lambda: places[-1], Programme) as keeper:
        assert not keeper.look(NOW_NS - S)
        places.append(make_bundle(tmp_path / "other", seed=2))
        _takeover_ns(keeper)
        keeper.change()
        assert keeper.bundle.folder == places[-1]


def test_back_at_the_bundle_that_plays_nothing_is_refused_any_more(
    tmp_path: Path, bundle_path: Path
) -> None:
    places = [bundle_path]
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "SHA256SUMS").touch()
    with BundleKeeper(lambda: places[-1], Programme) as keeper:
        places.append(bad)
        assert not keeper.look(NOW_NS)
        assert keeper.problem is not None
        places.append(bundle_path)
        assert not keeper.look(NOW_NS + S)
        assert keeper.problem is None


def test_a_bad_bundle_is_refused_and_the_old_one_goes_on(
    tmp_path: Path, bundle_path: Path, make_bundle: MakeBundle
) -> None:
    other = make_bundle(tmp_path / "other", seed=2)
    (other / "replay.npz").write_bytes(b"not what it was")
    with BundleKeeper(lambda: bundle_path, Programme) as keeper:
        before = keeper.bundle.id
        _install(bundle_path, other)
        assert not any(keeper.look(NOW_NS + second * S) for second in range(100))
        assert keeper.bundle.id == before
        assert keeper.problem is not None
        assert "replay.npz" in keeper.problem
        assert f"going on with {before[:12]}" in keeper.problem
        good = make_bundle(tmp_path / "good", seed=3)
        _install(bundle_path, good)
        _takeover_ns(keeper)
        keeper.change()
        assert keeper.bundle.id == _identity(good)
        assert keeper.problem is None


def test_a_bundle_that_the_service_cannot_use_is_refused(
    tmp_path: Path, bundle_path: Path, make_bundle: MakeBundle
) -> None:
    other = make_bundle(tmp_path / "other", seed=2)
    refused = _identity(other)

    def check(bundle: Bundle) -> None:
        if bundle.id == refused:
            raise DeviceError("a graph cannot be loaded")

    with BundleKeeper(lambda: bundle_path, check) as keeper:
        _install(bundle_path, other)
        assert not any(keeper.look(NOW_NS + second * S) for second in range(100))
        assert "a graph cannot be loaded" in str(keeper.problem)


def test_what_was_loaded_is_closed_when_another_takes_over(
    tmp_path: Path, bundle_path: Path, make_bundle: MakeBundle
) -> None:
    """And whatever comes to stand at the path meanwhile is not read."""
    closed = []

    class Mind(Owner):
        def __init__(self, bundle: Bundle) -> None:
            self.id = bundle.id

        def close(self) -> None:
            closed.append(self.id)

    first = _identity(bundle_path)
    with BundleKeeper(lambda: bundle_path, Mind) as keeper:
        second = _identity(make_bundle(tmp_path / "other", seed=2))
        _install(bundle_path, tmp_path / "other")
        now_ns = _takeover_ns(keeper)
        stills = keeper.bundle.replay()
        (bundle_path / "replay.npz").write_bytes(b"spoiled")
        assert keeper.bundle.replay() is stills
        assert closed == []
        keeper.change()
        assert (keeper.loaded.id, closed) == (second, [first])
        assert not keeper.look(now_ns + 50 * S)
    assert closed == [first, second]


@pytest.mark.parametrize("what", ["missing", "empty", "broken"])
def test_without_a_bundle_that_can_be_played_the_demo_bundle_is(
    tmp_path: Path, what: str, make_bundle: MakeBundle
) -> None:
    path = tmp_path / "bundle"
    if what == "empty":
        path.mkdir()
    elif what == "broken":
        (make_bundle(path, seed=1) / "manifest.json").write_text("{")
    with BundleKeeper(lambda: path, Programme) as keeper:
        assert keeper.bundle.folder == DEMO_BUNDLE
        assert "playing the demo bundle" in str(keeper.problem)


def test_a_bundle_that_vanishes_goes_on(bundle_path: Path) -> None:
    with BundleKeeper(lambda: bundle_path, Programme) as keeper:
        shutil.rmtree(bundle_path)
        assert not any(keeper.look(NOW_NS + second * S) for second in range(100))
        assert keeper.problem is None


def test_at_every_moment_of_an_exchange_there_is_a_bundle(
    tmp_path: Path, bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    rename = os.rename

    def watched(source: str, target: str) -> None:
        seen.append(bundle_path.is_dir())
        rename(source, target)

    monkeypatch.setattr(os, "rename", watched)
    with replacing_folder(bundle_path) as folder:
        (folder / "new").touch()
    assert (bundle_path / "new").exists()
    assert seen
    assert all(seen)
    assert list(tmp_path.iterdir()) == [bundle_path]
