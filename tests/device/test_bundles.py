"""Another bundle is judged by a process of its own, and begins in all services at once."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bad_graphs import ENDLESS, SPOILS
from conftest import MakeBundle
from waiting import wait_for
from ytm_bundle import archive
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.errors import BundleError, DeviceError
from ytm_bundle.files import replacing_folder
from ytm_device import bundle_trial, bundles
from ytm_device.bundle_trial import BundleTrial
from ytm_device.bundles import DEMO_BUNDLE, LATEST_S, NOTICE_S, SOONEST_S, BundleKeeper
from ytm_device.graph_check import is_passing
from ytm_device.last_good import keep, stated_id
from ytm_device.owner import Owner
from ytm_device.replay import Programme

S = 1_000_000_000
NOW_NS = 1000 * S
SMALLER_BYTES = 30_000
Where = Callable[[], Path]


def identity(path: Path) -> str:
    with open_bundle(path) as bundle:
        return bundle.id


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What lies in /data/ytm on a board."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def bundle_path(data: Path, make_bundle: MakeBundle) -> Path:
    """An installed bundle that was found good before."""
    made = make_bundle(data / "bundle", seed=1)
    shutil.copytree(made, data / "good")
    return made


@pytest.fixture
def other(tmp_path: Path, make_bundle: MakeBundle) -> Path:
    return make_bundle(tmp_path / "other", seed=2)


@contextmanager
def keeping(
    data: Path, where: Where | None = None, load: Callable[[Bundle], object] = Programme
) -> Iterator[BundleKeeper]:
    with BundleKeeper(where or (lambda: data / "bundle"), load, data / "good") as keeper:
        yield keeper


def install(path: Path, made: Path) -> None:
    with replacing_folder(path) as folder:
        shutil.copytree(made, folder, dirs_exist_ok=True)


def looks(keeper: BundleKeeper, from_s: float = 0, seconds: float = 30) -> Iterator[int]:
    """Look, in steps of 0.1 s of made up time, which stands while a bundle is judged."""
    for step in range(round(seconds * 10)):
        now_ns = NOW_NS + round(from_s * S) + step * S // 10
        keeper.look(now_ns)
        wait_for(lambda: not keeper.judging, lambda now_ns=now_ns: keeper.look(now_ns))
        yield now_ns


def taken_over_ns(keeper: BundleKeeper) -> int:
    """When it says that it is time to change."""
    return next(now_ns for now_ns in looks(keeper, 0, 60) if keeper.look(now_ns))


def never_changes(keeper: BundleKeeper, from_s: float = 0, seconds: float = 30) -> bool:
    return not any(keeper.look(now_ns) for now_ns in looks(keeper, from_s, seconds))


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The bundles that were judged, by path."""
    begun = []

    class Counted(BundleTrial):
        def __init__(self, path: Path, last_good: Path | None, *, nice: bool) -> None:
            begun.append(path)
            super().__init__(path, last_good, nice=nice)

    monkeypatch.setattr(bundles, "BundleTrial", Counted)
    return begun


def test_another_bundle_takes_over_at_the_next_still_in_every_service(
    data: Path, bundle_path: Path, other: Path
) -> None:
    before = identity(bundle_path)
    with keeping(data) as screen, keeping(data) as sound:
        assert not screen.look(NOW_NS - S)
        assert not sound.look(NOW_NS - S + 1)
        install(bundle_path, other)
        begins_ns = taken_over_ns(screen)
        assert taken_over_ns(sound) == begins_ns
        dwell_ns = round(screen.bundle.manifest.replay.dwell_s * S)
        assert begins_ns % dwell_ns == 0
        assert begins_ns >= NOW_NS + NOTICE_S * S
        assert screen.bundle.id == before
        for keeper in (screen, sound):
            keeper.change()
            assert keeper.bundle.id == identity(other)
        assert not screen.look(begins_ns + 10 * S)
        assert screen.problem is None


def test_services_that_are_as_slow_begin_together(data: Path, bundle_path: Path) -> None:
    with keeping(data) as keeper:
        begins = {keeper._begins_ns(NOW_NS, NOW_NS + round(late * S)) for late in (0, 1, 3.9)}
        assert len(begins) == 1
        slow = {keeper._begins_ns(NOW_NS, NOW_NS + round(late * S)) for late in (4.1, 7, 8.9)}
        assert len(slow) == 1
        assert min(slow) > max(begins)


def test_another_path_is_another_bundle(data: Path, bundle_path: Path, other: Path) -> None:
    places = [bundle_path]
    with keeping(data, lambda: places[-1]) as keeper:
        assert not keeper.look(NOW_NS - S)
        places.append(other)
        taken_over_ns(keeper)
        keeper.change()
        assert keeper.bundle.folder == other


def test_a_link_that_is_put_in_the_place_of_another_is_another_bundle(
    data: Path, bundle_path: Path, other: Path
) -> None:
    """As docs/appliance.md says how a bundle is put on a board."""
    bundle_path.rename(data / "first")
    (data / "bundle").symlink_to("first")
    shutil.copytree(other, data / "second")
    with keeping(data) as keeper:
        assert not keeper.look(NOW_NS - S)
        (data / ".next").symlink_to("second")
        (data / ".next").rename(data / "bundle")
        taken_over_ns(keeper)
        keeper.change()
        assert keeper.bundle.id == identity(other)


def test_back_at_the_bundle_that_plays_nothing_is_refused_any_more(
    data: Path, bundle_path: Path, tmp_path: Path
) -> None:
    places = [bundle_path]
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "SHA256SUMS").touch()
    with keeping(data, lambda: places[-1]) as keeper:
        places.append(bad)
        assert never_changes(keeper, 0, 3)
        assert keeper.problem is not None
        places.append(bundle_path)
        assert not keeper.look(NOW_NS + 3 * S)
        assert keeper.problem is None


def test_a_damaged_bundle_is_refused_and_the_old_one_goes_on(
    data: Path, bundle_path: Path, other: Path, trials: list[Path], make_bundle: MakeBundle
) -> None:
    (other / "replay.npz").write_bytes(b"not what it was")
    with keeping(data) as keeper:
        before = keeper.bundle.id
        install(bundle_path, other)
        assert never_changes(keeper, 0, 100)
        assert len(trials) == 1, "the same bundle is judged again and again"
        assert keeper.bundle.id == before
        assert "replay.npz" in str(keeper.problem)
        assert f"going on with {before[:12]}" in str(keeper.problem)
        good = make_bundle(other.with_name("another"), seed=3)
        install(bundle_path, good)
        taken_over_ns(keeper)
        keeper.change()
        assert keeper.bundle.id == identity(good)
        assert keeper.problem is None
        assert stated_id(data / "good") == keeper.bundle.id


@pytest.mark.parametrize("what", SPOILS)
def test_graphs_that_do_not_do_what_they_must_are_refused_by_whoever_does_not_run_them(
    data: Path, bundle_path: Path, other: Path, trials: list[Path], what: str
) -> None:
    SPOILS[what](other)
    with keeping(data) as keeper:
        before = keeper.bundle.id
        install(bundle_path, other)
        assert never_changes(keeper)
        assert keeper.bundle.id == before
        assert keeper.problem is not None
        assert len(trials) == 1
    # And whoever starts now plays the same as those who go on.
    with keeping(data) as keeper:
        assert keeper.bundle.id == before
        assert keeper.bundle.folder == data / "good"
        assert "playing the last good bundle" in str(keeper.problem)
        assert never_changes(keeper, 0, 3)
        assert "still being tried" not in str(keeper.problem)


def test_a_graph_that_never_ends_is_refused(
    data: Path, bundle_path: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ENDLESS(other)
    monkeypatch.setattr(bundle_trial, "MOST_CPU_S", 1.0)
    with keeping(data) as keeper:
        install(bundle_path, other)
        looked, now_ns = 0, NOW_NS
        while not keeper.problem:
            assert not keeper.look(now_ns)
            looked, now_ns = looked + 1, now_ns + S // 10
            time.sleep(0.01)
        assert looked > 5, "it waits for the verdict"
        assert "they take too long" in keeper.problem
        assert never_changes(keeper, 10_000)


def test_who_starts_plays_the_last_good_bundle_until_another_is_judged(
    data: Path, other: Path, bundle_path: Path
) -> None:
    install(bundle_path, other)
    with keeping(data) as keeper:
        assert keeper.bundle.folder == data / "good"
        assert "still being tried; playing the last good bundle" in str(keeper.problem)
        taken_over_ns(keeper)
        keeper.change()
        assert keeper.bundle.id == identity(other)
        assert keeper.problem is None


def test_where_none_was_ever_good_who_starts_waits_but_not_for_ever(
    data: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "START_S", 0.0)
    with keeping(data, lambda: other) as keeper:
        assert keeper.bundle.folder == DEMO_BUNDLE
        assert "still being tried; playing the demo bundle" in str(keeper.problem)
        taken_over_ns(keeper)
        keeper.change()
        assert keeper.bundle.id == identity(other)


def test_who_starts_asks_nobody_about_a_bundle_that_is_known(
    data: Path, bundle_path: Path, trials: list[Path]
) -> None:
    with keeping(data) as keeper:
        assert keeper.bundle.folder == bundle_path
    with keeping(data, lambda: DEMO_BUNDLE) as keeper:
        assert keeper.bundle.folder == DEMO_BUNDLE
    assert trials == []


def test_who_starts_has_an_unknown_bundle_judged_and_kept(
    data: Path, other: Path, trials: list[Path]
) -> None:
    for _ in range(2):
        with keeping(data, lambda: other) as keeper:
            assert keeper.bundle.folder == other
            assert keeper.problem is None
    assert len(trials) == 1
    assert identity(data / "good") == identity(other)


def test_a_bundle_that_the_service_cannot_use_is_refused(
    data: Path, bundle_path: Path, other: Path
) -> None:
    refused = identity(other)

    def check(bundle: Bundle) -> None:
        if bundle.id == refused:
            raise DeviceError("there is no room for it on the GPU")

    with keeping(data, load=check) as keeper:
        install(bundle_path, other)
        assert never_changes(keeper)
        assert "no room for it" in str(keeper.problem)


def test_what_was_loaded_is_closed_when_another_takes_over(
    data: Path, bundle_path: Path, other: Path
) -> None:
    """And whatever comes to stand at the path meanwhile is not read."""
    closed = []

    class Mind(Owner):
        def __init__(self, bundle: Bundle) -> None:
            self.id = bundle.id

        def close(self) -> None:
            closed.append(self.id)

    first, second = identity(bundle_path), identity(other)
    with keeping(data, load=Mind) as keeper:
        install(bundle_path, other)
        now_ns = taken_over_ns(keeper)
        stills = keeper.bundle.replay()
        (bundle_path / "replay.npz").write_bytes(b"spoiled")
        assert keeper.bundle.replay() is stills
        assert closed == []
        keeper.change()
        assert (keeper.loaded.id, closed) == (second, [first])
        assert not keeper.look(now_ns + 50 * S)
    assert closed == [first, second]


@pytest.mark.parametrize("what", ["missing", "empty", "broken", *SPOILS])
def test_without_any_bundle_that_can_be_played_the_demo_bundle_is(
    data: Path, what: str, make_bundle: MakeBundle
) -> None:
    path = data / "bundle"
    if what == "empty":
        path.mkdir()
    elif what == "broken":
        (make_bundle(path, seed=1) / "manifest.json").write_text("{")
    elif what in SPOILS:
        SPOILS[what](make_bundle(path, seed=1))
    with keeping(data, lambda: path) as keeper:
        assert keeper.bundle.folder == DEMO_BUNDLE
        assert "playing the demo bundle" in str(keeper.problem)
        assert never_changes(keeper, 0, 3)


def test_a_bundle_that_could_not_be_opened_at_the_start_is_tried_again(
    data: Path, other: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "bundle.ytm"
    archive.pack(other, path)
    with monkeypatch.context() as full:
        full.setattr(archive, "unpack", _full)
        keeper = BundleKeeper(lambda: path, Programme, data / "good")
    with keeper:
        assert keeper.bundle.folder == DEMO_BUNDLE
        assert "No space left" in str(keeper.problem)
        taken_over_ns(keeper)
        keeper.change()
        assert keeper.bundle.id == identity(other)
        assert keeper.problem is None


def _full(path: Path, _folder: Path) -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise BundleError(f"{path}: cannot be unpacked ({error.strerror})") from error


def test_a_disk_that_is_full_is_asked_again_ever_more_seldom(
    data: Path, bundle_path: Path, other: Path, tmp_path: Path, trials: list[Path]
) -> None:
    """The check really finds no room: no file may become as large as one of the bundle's."""
    places = [bundle_path]
    archived = tmp_path / "other.ytm"
    archive.pack(other, archived)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with keeping(data, lambda: places[-1]) as keeper:
        places.append(archived)
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALLER_BYTES, hard))
        try:
            assert never_changes(keeper, 0, 20)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert "cannot be unpacked" in str(keeper.problem)
        assert 3 <= len(trials) <= 4
        assert any(keeper.look(now_ns) for now_ns in looks(keeper, 20, 60))
        keeper.change()
        assert keeper.bundle.id == identity(other)


def test_between_attempts_lies_ever_more_time_but_not_without_end(
    data: Path, bundle_path: Path
) -> None:
    verdict = bundle_trial.Verdict(None, "no room", passing=True)
    with keeping(data) as keeper:
        waits = []
        for _ in range(30):
            keeper._refuse(None, verdict, NOW_NS, "")
            assert keeper._refused is not None
            assert keeper._refused.again_ns is not None
            waits.append((keeper._refused.again_ns - NOW_NS) / S)
    assert waits[:3] == [SOONEST_S, 2 * SOONEST_S, 4 * SOONEST_S]
    assert waits[-1] == LATEST_S


def test_a_bundle_that_is_being_copied_is_not_judged_before_it_has_come_to_rest(
    data: Path, bundle_path: Path, other: Path, trials: list[Path]
) -> None:
    with keeping(data) as keeper:
        shutil.rmtree(bundle_path)
        for second, file in enumerate(sorted(f for f in other.rglob("*") if f.is_file())):
            target = bundle_path / file.relative_to(other)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
            assert not keeper.look(NOW_NS + second * S)
        assert trials == []
        assert taken_over_ns(keeper)
        assert len(trials) == 1


def test_a_file_with_damaged_contents_is_refused_wherever_the_damage_is(
    data: Path, bundle_path: Path, other: Path, tmp_path: Path
) -> None:
    path = tmp_path / "other.ytm"
    archive.pack(other, path)
    whole = path.read_bytes()
    for at in range(100, len(whole), len(whole) // 40):
        path.write_bytes(whole[:at] + bytes(256) + whole[at + 256 :])
        with pytest.raises(BundleError), open_bundle(path):
            pass


def test_a_bundle_that_vanishes_goes_on(data: Path, bundle_path: Path) -> None:
    with keeping(data) as keeper:
        shutil.rmtree(bundle_path)
        assert never_changes(keeper)
        assert keeper.problem is None


def test_what_may_pass_and_what_will_not() -> None:
    def chained(cause: BaseException) -> BundleError:
        error = BundleError("x")
        error.__cause__ = cause
        return error

    for number in (errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EACCES):
        assert is_passing(chained(OSError(number, "")))
    assert is_passing(OSError(errno.ENOSPC, ""))
    assert is_passing(MemoryError())
    assert not is_passing(chained(OSError(errno.ENOENT, "")))
    assert not is_passing(chained(ValueError()))
    assert not is_passing(BundleError("damaged"))
    assert not is_passing(DeviceError("off"))


def test_the_last_good_bundle_is_replaced_whole_and_what_others_left_is_removed(
    data: Path, bundle_path: Path, other: Path
) -> None:
    (data / ".good.1.partial").mkdir()
    with open_bundle(other) as opened:
        keep(opened, data / "good")
        assert identity(data / "good") == opened.id
        assert not (data / ".good.1.partial").exists()
        keep(opened, data / "nowhere" / "good")
        assert not (data / "nowhere").exists()


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
    assert sorted(each.name for each in bundle_path.parent.iterdir()) == ["bundle", "good"]
