"""The very image with a camera that sees a real room: it mirrors who is there, and nobody else.

The camera is the kernel's `vivid`, fed with a real video: see `vivid.py`. With a folder in
YTM_SHOTS the screen is kept there, as it was in each act.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from appliance import vivid
from appliance.virtual import Virtual, disk_over, switched_on, why_not

IMAGE, KEY = os.environ.get("YTM_IMAGE"), os.environ.get("YTM_IMAGE_KEY")
SHOTS = os.environ.get("YTM_SHOTS")
CLIPS = Path(__file__).resolve().parents[3] / "shared/data/camera"
SERVICES = ("reflect", "sound", "screen")
HEALTH, PYTHON = "/opt/ytm/venv/bin/ytm-health", "/opt/ytm/venv/bin/python"
EMPTY, VISITOR, DANCER = range(3)
SCENES = (
    ("people_entering_one_by_one.mp4", 0.5, 5.0),
    ("people_entering_one_by_one.mp4", 76.5, 85.0),
    ("dancing_in_studio.mp4", 1.0, 9.0),
)
"""Clip, and the seconds from and to; the first two are of one room."""
PICTURES = 12
"""Of each scene."""

pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.skipif(
        IMAGE is None or KEY is None,
        reason="needs an image and its key in YTM_IMAGE and YTM_IMAGE_KEY; see make test-appliance",
    ),
    pytest.mark.skipif(not CLIPS.is_dir(), reason="needs the clips of ../shared/data/camera"),
]


def _scene(name: str, begin_s: float, end_s: float) -> list[bytes]:
    """JPEGs, evenly over the seconds."""
    wanted = list(np.linspace(begin_s, end_s, PICTURES))
    pictures: list[bytes] = []
    with av.open(str(CLIPS / name)) as clip:
        for frame in clip.decode(video=0):
            if len(pictures) < PICTURES and frame.time >= wanted[len(pictures)]:
                small = cv2.resize(frame.to_ndarray(format="bgr24"), (640, 360))
                pictures.append(cv2.imencode(".jpg", small)[1].tobytes())
    assert pictures
    return pictures


@pytest.fixture(scope="module")
def virtual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Virtual]:
    folder = tmp_path_factory.mktemp("camera")
    with switched_on(folder, disk_over(Path(str(IMAGE)), folder), Path(str(KEY))) as virtual:
        virtual.wait_for_door()
        virtual.wait_for(lambda: all(virtual.status(name) for name in SERVICES))
        virtual.wait_until_seen_and_heard()
        _keep(virtual, "replay")
        virtual.run("cat >/run/vivid.py", give=Path(vivid.__file__).read_bytes())
        yield virtual


@contextmanager
def _camera(virtual: Virtual, scene: int) -> Iterator[None]:
    """A camera that is plugged in, and pulled out at the end."""
    _turn_to(virtual, scene)
    virtual.run(vivid.LOAD)
    words = ["ssh", *virtual.ssh_options(), "root@127.0.0.1", f"exec {PYTHON} /run/vivid.py"]
    feeder = subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert feeder.stdin is not None
        feeder.stdin.write(vivid.packed([_scene(*each) for each in SCENES]))
        feeder.stdin.flush()
        yield
        assert feeder.poll() is None, feeder.stderr and feeder.stderr.read().decode()
    finally:
        virtual.run("pkill -f /run/vivid.py || true")
        feeder.kill()
        feeder.communicate()
        virtual.wait_for(lambda: virtual.try_(vivid.UNLOAD).returncode == 0)


def _turn_to(virtual: Virtual, scene: int) -> None:
    virtual.run(f"echo {scene} >{vivid.SCENE}.new && mv {vivid.SCENE}.new {vivid.SCENE}")


def _wait_for(virtual: Virtual, mode: str) -> None:
    virtual.wait_for(
        lambda: all(virtual.status(name).get("mode") == mode for name in ("sound", "screen"))
    )


def _seen(virtual: Virtual, looks: int = 6) -> np.ndarray:
    """The screen, averaged over a few looks: float (h, w, 3)."""
    return np.mean([virtual.screen().astype(float) for _ in range(looks)], axis=0)


def _keep(virtual: Virtual, name: str) -> None:
    if SHOTS is not None:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(Path(SHOTS) / f"{name}.png"), virtual.screen()[:, :, ::-1])


def test_a_camera_that_comes_sees_an_empty_room_then_somebody_then_nobody(
    virtual: Virtual,
) -> None:
    with _camera(virtual, EMPTY):
        virtual.wait_for(lambda: virtual.status("reflect").get("presence") is False)
        _wait_for(virtual, "replay")
        _turn_to(virtual, VISITOR)
        _wait_for(virtual, "mirror")
        virtual.wait_until_seen_and_heard()
        visitor, again = _seen(virtual), _seen(virtual)
        _keep(virtual, "mirror")
        _turn_to(virtual, DANCER)
        before = virtual.status("reflect")["reflections"]
        virtual.wait_for(lambda: virtual.status("reflect").get("reflections", 0) > before + 30)
        dancer = _seen(virtual)
        _keep(virtual, "mirror-of-another")
        assert np.abs(dancer - visitor).mean() > 3 * np.abs(again - visitor).mean()
        _turn_to(virtual, EMPTY)
        _wait_for(virtual, "replay")
        _turn_to(virtual, VISITOR)
        _wait_for(virtual, "mirror")
    _wait_for(virtual, "replay")
    virtual.wait_until_seen_and_heard()
    assert "camera" in virtual.try_(HEALTH, 300).stdout.decode()


def test_a_camera_that_is_plugged_in_again_mirrors_again(virtual: Virtual) -> None:
    before = {name: virtual.status(name)["pid"] for name in SERVICES}
    with _camera(virtual, EMPTY):
        virtual.wait_for(lambda: virtual.status("reflect").get("presence") is False)
        _turn_to(virtual, VISITOR)
        _wait_for(virtual, "mirror")
    assert {name: virtual.status(name)["pid"] for name in SERVICES} == before
