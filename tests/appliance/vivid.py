"""The kernel's own camera, `vivid`, in a virtual machine: what is written to it is what it sees.

Its output node leads to its capture node, as if a screen's cable ended in a capture card. A feeder
in the guest, which is this file itself, writes the pictures of one scene over and over.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import time
from pathlib import Path

LOAD = (
    "modprobe vivid n_devs=1 node_types=0x101 num_inputs=1 input_types=0x3 num_outputs=1"
    " output_types=0x1"
)
UNLOAD = "modprobe --remove vivid"
SCENE = Path("/run/vivid-scene")
"""Number of the scene that is played; may be changed while it is."""
WIDTH, HEIGHT = 1280, 720
"""Of its HDMI socket, YUYV at 60 a second."""
PICTURES_PER_S = 5.0

_QUERY, _SET = 0xC0445624, 0xC008561C
"""ioctl requests VIDIOC_QUERYCTRL and VIDIOC_S_CTRL."""
_NEXT = 0x80000000


def packed(scenes: list[list[bytes]]) -> bytes:
    """What the feeder takes on its standard input: JPEGs of each scene."""
    words = [struct.pack("I", len(scenes))]
    for scene in scenes:
        words.append(struct.pack("I", len(scene)))
        words += [struct.pack("I", len(jpeg)) + jpeg for jpeg in scene]
    return b"".join(words)


def _number() -> int:
    return int(struct.unpack("I", sys.stdin.buffer.read(4))[0])


def _given() -> list[list[bytes]]:
    """The scenes on standard input, as YUYV."""
    return [[_picture() for _ in range(_number())] for _ in range(_number())]


def _picture() -> bytes:
    import cv2
    import numpy as np

    jpeg = np.frombuffer(sys.stdin.buffer.read(_number()), np.uint8)
    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert picture is not None
    whole = cv2.resize(picture, (WIDTH, HEIGHT))
    return cv2.cvtColor(whole, cv2.COLOR_BGR2YUV_YUY2).tobytes()


def _nodes() -> list[str]:
    """The nodes of vivid, capture first."""
    folders = Path("/sys/class/video4linux").iterdir()
    named = sorted(((each / "name").read_text(), each.name) for each in folders)
    return [f"/dev/{node}" for name, node in named if name.startswith("vivid")]


def _loop(capture: int) -> None:
    """Lead the output to the capture node; the control is found by its name."""
    number = _NEXT
    while True:
        told = bytearray(struct.pack("I", number).ljust(68, b"\0"))
        fcntl.ioctl(capture, _QUERY, told)
        number = struct.unpack_from("I", told)[0]
        if told[8:40].rstrip(b"\0") == b"Loop Video":
            fcntl.ioctl(capture, _SET, struct.pack("Ii", number, 1))
            return
        number |= _NEXT


def feed(scenes: list[list[bytes]]) -> None:
    """Write the pictures of the scene that `SCENE` names to the output, over and over."""
    import gi

    gi.require_version("Gst", "1.0")
    from gi.repository import Gst

    capture_node, output_node = _nodes()
    capture = os.open(capture_node, os.O_RDWR)
    _loop(capture)
    os.close(capture)
    Gst.init(None)
    pipeline = Gst.parse_launch(
        "appsrc name=source format=time do-timestamp=true block=true max-buffers=1"
        f" caps=video/x-raw,format=YUY2,width={WIDTH},height={HEIGHT},framerate=60/1"
        f" ! v4l2sink sync=false device={output_node}"
    )
    source = pipeline.get_by_name("source")
    pipeline.set_state(Gst.State.PLAYING)
    turn = 0
    while True:
        scene = scenes[int(SCENE.read_text())]
        pushed = source.emit("push-buffer", Gst.Buffer.new_wrapped(scene[turn % len(scene)]))
        if pushed != Gst.FlowReturn.OK:
            raise SystemExit(f"{output_node}: {pushed}")
        turn += 1
        time.sleep(1 / PICTURES_PER_S)


if __name__ == "__main__":
    feed(_given())
