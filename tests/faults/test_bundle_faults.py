"""Bundles that take the place of the one that is played, good and bad."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from bad_graphs import SPOILS
from films import BALL, film
from installation import Installation, installed, write_settings
from planting import planted
from ytm_bundle.bundle import MANIFEST_NAME, REPLAY_NAME, open_bundle
from ytm_bundle.files import replacing_folder
from ytm_device.options import REFLECT, SERVICES

Spoil = Callable[[Path], None]


@pytest.fixture(scope="module")
def installation(
    folder: Path, bundle: Path, ball: Path, card_library: Path, environment: Mapping[str, str]
) -> Iterator[Installation]:
    with installed(folder, bundle, ball, card_library, environment) as running:
        running.mirrors()
        yield running


@pytest.fixture(scope="module")
def other(make_bundle: Callable[..., Path], bundle: Path, folder: Path) -> Path:
    """Another bundle, of the same sound."""
    with open_bundle(bundle) as opened:
        sound = opened.manifest.sound
    return make_bundle(folder / "other", sound=sound, seed=1)


def install(installation: Installation, bundle: Path, spoil: Spoil | None = None) -> None:
    """Put a bundle in the place of the installed one, at once; spoilt before, if it is to be."""
    with replacing_folder(installation.data / "bundle") as folder:
        shutil.copytree(bundle, folder, dirs_exist_ok=True)
        if spoil is not None:
            spoil(folder)


def playing(installation: Installation, bundle: Path) -> None:
    """Wait until every service plays it, and there is a mirror."""
    with open_bundle(bundle) as opened:
        for service in SERVICES:
            installation.wait_status(service, bundle=opened.id, bundle_problem=None)
    installation.mirrors()


def test_another_bundle_takes_over_without_a_gap(
    installation: Installation, bundle: Path, other: Path
) -> None:
    for each in (other, bundle):
        with planted(installation, "bundle replaced") as fault:
            install(installation, each)
            playing(installation, each)
            fault.recovered()


def _truncate(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return spoil


def _empty(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).write_text("{}")

    return spoil


def _remove(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


BAD: dict[str, Spoil] = {
    "graph cut short": _truncate("graphs/image_encoder.onnx"),
    "manifest missing": _remove(MANIFEST_NAME),
    "a wrong manifest": _empty(MANIFEST_NAME),
    "replay missing": _remove(REPLAY_NAME),
    **{what: SPOILS[what] for what in ("not a number", "a crash")},
}


def refused(installation: Installation, old: object) -> None:
    """Wait until every service says that it goes on with the old one."""
    for service in SERVICES:
        installation.wait_status(
            service,
            bundle=old,
            bundle_problem=lambda problem: "going on with" in str(problem),
        )
    installation.mirrors()


@pytest.mark.parametrize("what", BAD)
def test_a_bad_bundle_is_refused_and_the_old_one_goes_on(
    installation: Installation, bundle: Path, other: Path, what: str
) -> None:
    old = installation.status(REFLECT)["bundle"]
    with planted(installation, f"bundle refused: {what}") as fault:
        install(installation, other, BAD[what])
        refused(installation, old)
        fault.recovered()
    with open_bundle(bundle) as opened:
        playing_now = bundle if opened.id == old else other
    install(installation, playing_now)
    playing(installation, playing_now)


def test_whoever_dies_while_a_bad_bundle_lies_there_comes_back_with_the_old_one(
    installation: Installation, other: Path
) -> None:
    old = installation.status(REFLECT)["bundle"]
    with planted(installation, "killed while a bundle is refused", restarts=len(SERVICES)) as fault:
        install(installation, other, SPOILS["a crash"])
        refused(installation, old)
        for service in SERVICES:
            killed = installation.supervisor.kill(service)
            installation.supervisor.wait_ready(service, killed)
            refused(installation, old)
        fault.recovered()


def test_a_refused_bundle_is_not_read_when_the_camera_changes(
    installation: Installation, bundle: Path, other: Path, folder: Path
) -> None:
    """What answers stays what it was, though other files lie where it came from."""
    old = installation.status(REFLECT)["bundle"]
    camera = film(folder / "other.mp4", [(BALL, 2)])
    with planted(installation, "camera changed while a bundle is refused") as fault:
        install(installation, other, BAD["graph cut short"])
        refused(installation, old)
        write_settings(installation.data / "mirror.toml", {"camera": {"device": str(camera)}})
        for service in SERVICES:
            assert installation.ask(service, "reload")["ok"]
        installation.wait_status(REFLECT, camera=str(camera), bundle=old)
        installation.mirrors()
        fault.recovered()
