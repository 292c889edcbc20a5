"""A USB reset is asked for last, and root resets what is a camera and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fake_camera import FakeCamera
from waiting import HANG_S
from ytm_bundle.errors import DeviceError
from ytm_device.camera.opening import request_reset
from ytm_device.camera.usb import usb_cameras, usb_device
from ytm_device.camera.usb_reset import MAX_BYTES, REQUEST, main, reset, take_request

CAMERA = "/dev/bus/usb/003/007"


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """A USB camera with two nodes, a camera that is not on USB, and a USB keyboard."""
    root = tmp_path / "sys"
    device = root / "devices/pci0000:00/usb3/3-1"
    keyboard = root / "devices/pci0000:00/usb3/3-2"
    chip = root / "devices/platform/isp"
    for folder in (device / "3-1:1.0", keyboard / "3-2:1.0", chip):
        folder.mkdir(parents=True)
    for folder, number in ((device, 7), (keyboard, 8)):
        (folder / "busnum").write_text("3\n")
        (folder / "devnum").write_text(f"{number}\n")
    for node, parent in (("video0", device / "3-1:1.0"), ("video1", device / "3-1:1.0")):
        _add_node(root, node, parent)
    _add_node(root, "video2", chip)
    return root


def _add_node(root: Path, node: str, parent: Path) -> None:
    folder = parent / "video4linux" / node
    folder.mkdir(parents=True)
    (folder / "device").symlink_to(parent)
    listed = root / "class/video4linux"
    listed.mkdir(parents=True, exist_ok=True)
    (listed / node).symlink_to(folder)


def test_the_usb_device_of_a_node_is_found_in_sysfs(sysfs):
    assert usb_device("video1", sysfs) == Path(CAMERA)
    assert usb_device("video2", sysfs) is None
    assert usb_device("video9", sysfs) is None
    assert usb_cameras(sysfs) == {Path(CAMERA)}


def test_a_request_names_the_device_and_is_there_whole(sysfs, tmp_path):
    assert request_reset(Path("/dev/video0"), tmp_path, sysfs)
    assert (tmp_path / REQUEST).read_text() == CAMERA
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [REQUEST]


@pytest.mark.parametrize("node", [None, Path("/dev/video2"), Path("/dev/video9")])
def test_what_is_no_usb_camera_is_not_asked_for(node, sysfs, tmp_path):
    assert not request_reset(node, tmp_path, sysfs)
    assert not (tmp_path / REQUEST).exists()


def test_a_request_that_cannot_be_written_is_no_failure(sysfs, tmp_path, capsys):
    assert not request_reset(Path("/dev/video0"), tmp_path / "none", sysfs)
    assert "a reset of the camera cannot be asked for" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "/dev/bus/usb/003/008",
        f"{CAMERA}\n",
        f"{CAMERA}\n/dev/bus/usb/003/008",
        f" {CAMERA}",
        "/dev/bus/usb/003/../003/007",
        "/dev/bus/usb/003//007",
        "dev/bus/usb/003/007",
        "/dev/video0",
        "/dev/sda",
        f"{CAMERA}\0",
    ],
)
def test_nothing_but_a_camera_is_reset(wanted, sysfs):
    with pytest.raises(DeviceError, match="is no USB camera; nothing is reset"):
        reset(wanted, sysfs)


def test_a_camera_that_has_gone_is_named(sysfs):
    if Path(CAMERA).exists():
        pytest.skip(f"{CAMERA} is there on this machine")
    with pytest.raises(DeviceError, match=f"^{CAMERA}: cannot be opened: No such file"):
        reset(CAMERA, sysfs)


def _run(camera: FakeCamera, sysfs: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from pathlib import Path; from ytm_device.camera.usb_reset import reset;"
        "reset(sys.argv[1], Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, CAMERA, str(sysfs)]
    return subprocess.run(
        command, env=camera.environment, capture_output=True, text=True, timeout=HANG_S
    )


def test_the_camera_is_reset(fake_camera, sysfs):
    device = fake_camera.folder / CAMERA[1:]
    device.parent.mkdir(parents=True)
    device.write_text("plugged\n")
    assert _run(fake_camera, sysfs).returncode == 0
    assert device.read_text() == "plugged\nreset\n"


def test_a_link_in_the_place_of_the_device_is_not_followed(fake_camera, sysfs):
    other = fake_camera.folder / "dev/bus/usb/003/008"
    other.parent.mkdir(parents=True)
    other.write_text("plugged\n")
    (fake_camera.folder / CAMERA[1:]).symlink_to(other)
    assert "cannot be opened: Too many levels of symbolic links" in _run(fake_camera, sysfs).stderr
    assert other.read_text() == "plugged\n"


def _link(path: Path) -> None:
    target = path.with_name("target")
    target.write_text(CAMERA)
    path.symlink_to(target)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_link, "Too many levels of symbolic links"),
        (lambda path: path.write_text("/" * (MAX_BYTES + 1)), "is longer than 256 bytes"),
        (os.mkfifo, "is no plain file"),
        (lambda path: None, "No such file"),
    ],
    ids=["link", "long", "fifo", "none"],
)
def test_a_request_that_is_none_is_refused_and_removed(make, words, tmp_path):
    path = tmp_path / REQUEST
    make(path)
    with pytest.raises(DeviceError, match=words):
        take_request(path)
    assert not os.path.lexists(path)


def test_a_folder_in_the_place_of_a_request_is_named(tmp_path):
    (tmp_path / REQUEST).mkdir()
    with pytest.raises(DeviceError, match="Is a directory; remove it"):
        take_request(tmp_path / REQUEST)


def test_bytes_that_are_no_text_are_no_camera(tmp_path, sysfs):
    path = tmp_path / REQUEST
    path.write_bytes(CAMERA.encode() + b"\xff")
    with pytest.raises(DeviceError, match="is no USB camera"):
        reset(take_request(path), sysfs)


def test_the_command_takes_one_request_and_says_what_it_refuses(tmp_path, capsys):
    path = tmp_path / REQUEST
    path.write_text("/dev/sda")
    assert main([str(path)]) == 1
    assert "error: '/dev/sda': is no USB camera; nothing is reset" in capsys.readouterr().err
    assert not path.exists()
    assert main([]) == 2
