"""The very image with a camera that sees a real room: it mirrors who is there, and nobody else.

The camera is the kernel's `vivid`, fed with real videos: see `vivid.py`. In this order one machine
sees them all; it starts without a camera. With a folder in YTM_SHOTS, the screen of each act is
kept there.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from appliance import vivid
from appliance.image import IMAGE, KEY, NEEDS_VIRTUAL
from appliance.imitation import imitated
from appliance.light_bundle import write_light_bundle
from appliance.virtual import SERVICES, Virtual, disk_over, switched_on

SHOTS = os.environ.get("YTM_SHOTS")
CLIPS = Path(__file__).resolve().parents[3] / "shared/data/camera"
PYTHON = "/opt/ytm/venv/bin/python"
EMPTY, VISITOR, FACE = range(3)
SCENES = (
    ("people_entering_one_by_one.mp4", 0.5, 5.0),
    ("people_entering_one_by_one.mp4", 76.5, 85.0),
    ("webcam_man_faces_a.mp4", 1.0, 12.0),
)
"""Clip, and the seconds from and to; the first two are of one room."""
PICTURES = 12
"""Of each scene."""
WIDTH, HEIGHT = 640, 360
LOOKS = 6
ANSWERS = 12
"""So many pictures later, what is shown is of the scene that was turned to."""
COLOURS = 48

pytestmark = [
    *NEEDS_VIRTUAL,
    pytest.mark.skipif(not CLIPS.is_dir(), reason="needs the clips of ../shared/data/camera"),
]

Pixels = npt.NDArray[np.uint8]
Seen = npt.NDArray[np.float64]


def _filmed(scene: int) -> list[Pixels]:
    """Pictures evenly over the seconds of a scene: uint8 (h, w, 3), BGR."""
    name, begin_s, end_s = SCENES[scene]
    wanted = list(np.linspace(begin_s, end_s, PICTURES))
    pictures: list[Pixels] = []
    with av.open(str(CLIPS / name)) as clip:
        for frame in clip.decode(video=0):
            if len(pictures) < PICTURES and frame.time >= wanted[len(pictures)]:
                pictures.append(cv2.resize(frame.to_ndarray(format="bgr24"), (WIDTH, HEIGHT)))
    assert len(pictures) == PICTURES
    return pictures


def _packed() -> bytes:
    scenes = [_filmed(scene) for scene in range(len(SCENES))]
    return vivid.packed(
        [[cv2.imencode(".jpg", each)[1].tobytes() for each in scene] for scene in scenes]
    )


@pytest.fixture(scope="module")
def virtual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Virtual]:
    folder = tmp_path_factory.mktemp("camera")
    with switched_on(folder, disk_over(IMAGE, folder), KEY) as virtual:
        virtual.wait_for(lambda: virtual.console())
        _keep(virtual, "boot")
        virtual.wait_for_all()
        _keep(virtual, "replay")
        _install(virtual, folder)
        virtual.run(f"mkdir {vivid.FOLDER} && cat >{vivid.SCENES}", give=_packed())
        virtual.run(f"cat >{vivid.FOLDER}/vivid.py", give=Path(vivid.__file__).read_bytes())
        yield virtual


def _install(virtual: Virtual, folder: Path) -> None:
    """Install a bundle that an emulated processor answers by often enough to notice a visitor."""
    write_light_bundle(folder / "light")
    imitated(folder / "light", folder / "bundle")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder / "bundle", "bundle")
    before = {name: virtual.status(name)["bundle"] for name in SERVICES}
    virtual.run(
        "mkdir /data/ytm/new && tar --extract --no-same-owner --directory /data/ytm/new"
        " && mv /data/ytm/new/bundle /data/ytm/bundle",
        600,
        packed.getvalue(),
    )

    def is_taken_up() -> bool:
        said = {name: virtual.status(name).get("bundle") for name in SERVICES}
        return len(set(said.values())) == 1 and all(said[name] != before[name] for name in SERVICES)

    virtual.wait_for(is_taken_up)


def _plug_in(virtual: Virtual) -> None:
    words = f"--collect --unit=vivid --property=Nice=-10 {PYTHON} {vivid.FOLDER}/vivid.py"
    virtual.run(f"systemd-run {words}")


def _pull_out(virtual: Virtual) -> None:
    virtual.run(f"systemctl stop vivid; {vivid.UNPLUG}")
    virtual.wait_for(lambda: virtual.try_(vivid.UNLOAD).returncode == 0)


def _turn_to(virtual: Virtual, scene: int) -> None:
    virtual.run(f"echo {scene} >{vivid.SCENE}.new && mv {vivid.SCENE}.new {vivid.SCENE}")


def _wait_for_answers(virtual: Virtual, answers: int = ANSWERS) -> None:
    before = virtual.status("reflect").get("reflections", 0)
    virtual.wait_for(lambda: virtual.status("reflect").get("reflections", 0) > before + answers)


def _wait_for_mode(virtual: Virtual, mode: str) -> None:
    virtual.wait_for(lambda: all(virtual.status(name).get("mode") == mode for name in SERVICES))


def _pids(virtual: Virtual) -> dict[str, int]:
    return {name: virtual.status(name)["pid"] for name in SERVICES}


def _seen(virtual: Virtual) -> Seen:
    """The screen, averaged over a few looks: (h, w, 3), RGB."""
    return np.asarray(np.mean([virtual.screen() for _ in range(LOOKS)], axis=0))


def _mirrored(scene: int) -> Seen:
    """A scene as a mirror would show it that is perfect but for detail: (h, w, 3), RGB."""
    picture = np.mean(_filmed(scene), axis=0)[:, ::-1, ::-1]
    edge = (WIDTH - HEIGHT) // 2
    square = cv2.resize(picture[:, edge : edge + HEIGHT], (WIDTH, WIDTH))
    return np.asarray(square[(WIDTH - HEIGHT) // 2 :][:HEIGHT])


def _alike(one: Seen, other: Seen) -> float:
    """Correlation of two pictures, -1 to 1, whatever the light."""
    coarse = [cv2.resize(each, (32, 18), interpolation=cv2.INTER_AREA) for each in (one, other)]
    return float(np.corrcoef(coarse[0].ravel(), coarse[1].ravel())[0, 1])


def _keep(virtual: Virtual, name: str) -> None:
    """Keep the screen as a small PNG."""
    if SHOTS is not None:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        few = Image.fromarray(virtual.screen()).quantize(COLOURS)
        few.save(Path(SHOTS) / f"appliance_{name}.png", optimize=True)


def test_a_camera_that_comes_later_is_used_and_nothing_starts_again(virtual: Virtual) -> None:
    assert "camera" in virtual.health()[1]
    before = _pids(virtual)
    _turn_to(virtual, EMPTY)
    _plug_in(virtual)
    _wait_for_answers(virtual)
    assert virtual.status("reflect")["problem"] is None
    assert _pids(virtual) == before


def test_an_empty_room_is_no_visitor(virtual: Virtual) -> None:
    # What the camera saw while it was being plugged in may have passed for somebody.
    _wait_for_mode(virtual, "replay")
    _wait_for_answers(virtual)
    assert {name: virtual.status(name)["mode"] for name in SERVICES} == dict.fromkeys(
        SERVICES, "replay"
    )
    virtual.wait_until_seen_and_heard()


def test_who_comes_is_mirrored_and_heard(virtual: Virtual) -> None:
    _turn_to(virtual, VISITOR)
    _wait_for_mode(virtual, "mirror")
    _wait_for_answers(virtual)
    virtual.wait_until_seen_and_heard()
    _keep(virtual, "mirror")


def test_the_mirror_follows_the_camera(virtual: Virtual) -> None:
    visitor, again = _seen(virtual), _seen(virtual)
    _turn_to(virtual, FACE)
    _wait_for_answers(virtual)
    face = _seen(virtual)
    _keep(virtual, "mirror_of_another")
    assert np.abs(face - visitor).mean() > 2 * np.abs(again - visitor).mean()
    assert _alike(visitor, _mirrored(VISITOR)) > _alike(visitor, _mirrored(FACE))
    assert _alike(face, _mirrored(FACE)) > _alike(face, _mirrored(VISITOR))


def test_an_empty_room_turns_to_replay_and_somebody_brings_the_mirror_back(
    virtual: Virtual,
) -> None:
    _turn_to(virtual, EMPTY)
    _wait_for_mode(virtual, "replay")
    _turn_to(virtual, VISITOR)
    _wait_for_mode(virtual, "mirror")


def test_a_camera_that_is_pulled_out_leaves_the_replay_and_mirrors_when_it_is_back(
    virtual: Virtual,
) -> None:
    before = _pids(virtual)
    _pull_out(virtual)
    virtual.wait_for(
        lambda: all(virtual.status(name)["mode"] == "replay" for name in ("sound", "screen"))
    )
    virtual.wait_until_seen_and_heard()
    virtual.wait_for(lambda: "camera" in str(virtual.status("reflect")["problem"]))
    assert "frame.old" in virtual.health()[1]
    _plug_in(virtual)
    _wait_for_mode(virtual, "mirror")
    assert _pids(virtual) == before
    assert virtual.status("reflect")["camera_recoveries"] >= 1
