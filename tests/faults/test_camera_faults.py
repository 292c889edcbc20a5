"""A camera that is pulled out and comes back under another number, before a whole installation."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fake_camera import LASTING, FakeCamera
from installation import Installation, installed
from planting import planted
from waiting import HANG_S
from ytm_device.options import REFLECT, SCREEN, SOUND

MEANWHILE = (SOUND, SCREEN)


@pytest.fixture(scope="module")
def camera(folder: Path, card_library: Path) -> FakeCamera:
    """The camera of `fake_v4l2.c`, compiled where `card_library` could be."""
    source = Path(__file__).parents[1] / "device/fake_v4l2.c"
    library = folder / "libcamera.so"
    command = ["gcc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl", "-lpthread"]
    subprocess.run(command, check=True, timeout=HANG_S)
    (folder / "camera/dev").mkdir(parents=True)
    camera = FakeCamera(folder / "camera", library)
    camera.plug()
    return camera


@pytest.fixture(scope="module")
def installation(
    folder: Path,
    bundle: Path,
    camera: FakeCamera,
    card_library: Path,
    environment: Mapping[str, str],
) -> Iterator[Installation]:
    preload = {name: camera.environment[name] for name in ("LD_PRELOAD", "FAKE_V4L2")}
    with installed(folder, bundle, LASTING, card_library, environment, preload=preload) as running:
        running.mirrors()
        yield running


def replayed_meanwhile(installation: Installation) -> None:
    """Wait until reflect tells what is wrong, and the others replay."""
    installation.wait_status(REFLECT, problem=lambda problem: bool(problem))
    for service in MEANWHILE:
        installation.wait_status(service, mode="replay")


def test_a_camera_that_is_pulled_out_comes_back_under_another_number(
    installation: Installation, camera: FakeCamera
) -> None:
    with planted(installation, "camera pulled out") as fault:
        camera.unplug()
        replayed_meanwhile(installation)
        camera.plug(3)
        fault.mended()
        installation.mirrors()
        fault.recovered()
    assert installation.wait_status(REFLECT)["camera_recoveries"] > 0


def test_a_frozen_camera_is_no_mirror(installation: Installation, camera: FakeCamera) -> None:
    with planted(installation, "camera frozen") as fault:
        camera.behave(frozen=1)
        replayed_meanwhile(installation)
        camera.behave()
        fault.mended()
        installation.mirrors()
        fault.recovered()
