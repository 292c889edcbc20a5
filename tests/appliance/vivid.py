"""The kernel's own camera, `vivid`, in a virtual machine: what is written to it is what it sees.

Its S-Video output leads to its S-Video input, as if a player's cable ended in a capture card. A
feeder in the machine, which is this file itself, plays the pictures of one scene over and over.
Where it plugs the camera in, pictures are ready; where it is pulled out, whoever reads is told.

Reference: `Documentation/admin-guide/media/vivid.rst` and `linux/videodev2.h`; the numbers below
are its structures and requests on 64 bits. `write` to the output gave EINVAL (Linux 6.1).
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/run/vivid")
"""In the machine."""
SCENES, SCENE = FOLDER / "scenes", FOLDER / "scene"
"""As `packed` makes them; and the number of the one that is played, which may change meanwhile."""
UNPLUG = "echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind"
"""Takes the nodes away from whoever has them open, as a USB camera's go with its cable."""
UNLOAD = "modprobe --remove vivid"
PICTURES_PER_S = 5.0
"""New ones; the camera gives 10 a second, 720 x 576, interlaced."""

# The least that an emulated processor has to copy: by HDMI, at 1280 x 720 and 60 a second, it is
# thirteen times as much.
_LOAD = (
    *("modprobe", "vivid", "n_devs=1", "node_types=0x101"),
    *("num_inputs=1", "input_types=0x2", "num_outputs=1", "output_types=0x0"),
)
_CONTROLS = {b"Loop Video": 1, b"OSD Text Mode": 2, b"Percentage of Dropped Buffers": 60}
"""The output leads to the input; no text is drawn into it; of 25 pictures a second 10 are left."""
_QUERYCTRL, _S_CTRL, _NEXT = 0xC0445624, 0xC008561C, 0x80000000
_G_FMT, _REQBUFS, _QUERYBUF = 0xC0D05604, 0xC0145608, 0xC0585609
_QBUF, _DQBUF, _STREAMON = 0xC058560F, 0xC0585611, 0x40045612
_OUTPUT, _MMAP, _BUFFERS = 2, 1, 4


def packed(scenes: list[list[bytes]]) -> bytes:
    """What the feeder reads: JPEGs of each scene."""
    words = [struct.pack("I", len(scenes))]
    for scene in scenes:
        words.append(struct.pack("I", len(scene)))
        words += [struct.pack("I", len(jpeg)) + jpeg for jpeg in scene]
    return b"".join(words)


def _unpacked(data: bytes) -> Iterator[list[bytes]]:
    at = 4
    for _ in range(*struct.unpack_from("I", data)):
        (count,) = struct.unpack_from("I", data, at)
        at += 4
        scene = []
        for _ in range(count):
            (size,) = struct.unpack_from("I", data, at)
            scene.append(data[at + 4 : at + 4 + size])
            at += 4 + size
        yield scene


def _yuyv(jpeg: bytes, width: int, height: int) -> bytes:
    # In the machine, which has these.
    import cv2
    import numpy as np

    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    whole = cv2.resize(picture, (width, height))
    return bytes(cv2.cvtColor(whole, cv2.COLOR_BGR2YUV_YUY2).tobytes())


def _nodes() -> list[str]:
    """The nodes of vivid, capture first."""
    folders = Path("/sys/class/video4linux").iterdir()
    named = sorted(((each / "name").read_text(), each.name) for each in folders)
    return [f"/dev/{node}" for name, node in named if name.startswith("vivid")]


def _set_controls(node: int) -> None:
    """Controls are found by their names."""
    number, left = _NEXT, len(_CONTROLS)
    while left:
        told = bytearray(struct.pack("I", number).ljust(68, b"\0"))
        fcntl.ioctl(node, _QUERYCTRL, told)
        (number,) = struct.unpack_from("I", told)
        value = _CONTROLS.get(bytes(told[8:40].rstrip(b"\0")))
        if value is not None:
            fcntl.ioctl(node, _S_CTRL, struct.pack("Ii", number, value))
            left -= 1
        number |= _NEXT


class _Output:
    """The output node, played to through buffers that the kernel shares."""

    def __init__(self, node: str) -> None:
        self._file = os.open(node, os.O_RDWR)
        told = bytearray(208)
        struct.pack_into("I", told, 0, _OUTPUT)
        fcntl.ioctl(self._file, _G_FMT, told)
        self.width, self.height = struct.unpack_from("II", told, 8)
        (self._size,) = struct.unpack_from("I", told, 28)
        told = bytearray(struct.pack("III8x", _BUFFERS, _OUTPUT, _MMAP))
        fcntl.ioctl(self._file, _REQBUFS, told)
        self._shared = [self._map(index) for index in range(*struct.unpack_from("I", told))]
        self._free = list(range(len(self._shared)))

    def _map(self, index: int) -> mmap.mmap:
        told = self._ask(_QUERYBUF, index)
        return mmap.mmap(self._file, self._size, offset=struct.unpack_from("I", told, 64)[0])

    def _ask(self, request: int, index: int = 0, used: int = 0) -> bytearray:
        told = bytearray(88)
        struct.pack_into("III", told, 0, index, _OUTPUT, used)
        struct.pack_into("I", told, 60, _MMAP)
        fcntl.ioctl(self._file, request, told)
        return told

    def play(self, picture: bytes) -> None:
        """Show `picture` next; waits while as many as there are buffers have not been shown."""
        if self._free:
            index = self._free.pop()
        else:
            (index,) = struct.unpack_from("I", self._ask(_DQBUF))
        self._shared[index][:] = picture
        self._ask(_QBUF, index, self._size)

    def begin(self) -> None:
        """What was played so far is shown from now on."""
        fcntl.ioctl(self._file, _STREAMON, struct.pack("i", _OUTPUT))


def feed(width: int = 720, height: int = 576) -> None:
    """Plug the camera in, and play the scene that `SCENE` names, for ever."""
    scenes = [
        [_yuyv(jpeg, width, height) for jpeg in scene] for scene in _unpacked(SCENES.read_bytes())
    ]
    subprocess.run(_LOAD, check=True)
    capture_node, output_node = _nodes()
    capture = os.open(capture_node, os.O_RDWR)
    _set_controls(capture)
    os.close(capture)
    output = _Output(output_node)
    assert (output.width, output.height) == (width, height)
    turn = 0
    while True:
        scene = scenes[int(SCENE.read_text())]
        output.play(scene[turn % len(scene)])
        turn += 1
        if turn == 2:
            output.begin()
        time.sleep(1 / PICTURES_PER_S)


if __name__ == "__main__":
    feed()
