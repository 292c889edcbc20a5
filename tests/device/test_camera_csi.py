"""CSI cameras: the pipeline, with elements of NVIDIA's names that stand for sensor and converter.

No board has been met; what is real here is everything behind them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pytest

from waiting import HANG_S
from ytm_bundle.errors import DeviceError, UsageError
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera import csi
from ytm_device.camera.choice import choose_camera
from ytm_device.camera.controls import Picturing
from ytm_device.camera.csi import ELEMENTS, MOST_SENSORS, CsiCamera, sensor_of
from ytm_device.camera.opening import keep_open
from ytm_device.gstreamer import lacking
from ytm_device.mirror import film_instead
from ytm_device.options import Options
from ytm_device.settings.source import SettingsSource

IMAGE = ImageSpec(width=48, height=32, fit="crop")
PLAIN = "video/x-raw,format=NV12,width=1280,height=720,framerate=30/1"
ON_GPU = PLAIN.replace("video/x-raw", "video/x-raw(memory:NVMM)")
asked: list[tuple[str, object]] = []
"""What the sensor was told."""


@lru_cache(maxsize=1)
def _elements() -> tuple[type, type]:
    """What stands for the sensor, and for the way out of the GPU's memory."""
    import gi

    gi.require_version("GstBase", "1.0")
    from gi.repository import GObject, Gst, GstBase

    def renaming(name: str, before: str, after: str) -> type:
        class Renamed(GstBase.BaseTransform):
            """Buffers as they are, under other caps."""

            __gtype_name__ = name

            def do_transform_caps(self, direction: object, _caps: object, wanted: object) -> object:
                text = after if direction == Gst.PadDirection.SINK else before
                caps = Gst.Caps.from_string(text)
                return caps if wanted is None else wanted.intersect(caps)  # type: ignore[attr-defined]

            def do_transform_ip(self, _buffer: object) -> object:
                return Gst.FlowReturn.OK

        Renamed.set_metadata(name, "Filter", "stands for NVIDIA's", "tests")
        for pad, direction in (("sink", Gst.PadDirection.SINK), ("src", Gst.PadDirection.SRC)):
            template = Gst.PadTemplate.new(
                pad, direction, Gst.PadPresence.ALWAYS, Gst.Caps.new_any()
            )
            Renamed.add_pad_template(template)
        return Renamed

    onto_gpu = renaming("OntoGpu", PLAIN, ON_GPU)

    class Sensor(Gst.Bin):
        sensor_id = GObject.Property(type=int, minimum=0, maximum=255)
        aelock = GObject.Property(type=bool, default=False)
        awblock = GObject.Property(type=bool, default=False)

        def __init__(self) -> None:
            super().__init__()
            source = f'videotestsrc is-live=true pattern=ball ! capsfilter caps="{PLAIN}"'
            inner, last = Gst.parse_bin_from_description(source, True), onto_gpu()
            self.add(inner)
            self.add(last)
            assert inner.link(last)
            self.add_pad(Gst.GhostPad.new("src", last.get_static_pad("src")))
            self.connect("notify", lambda _, spec: asked.append((spec.name, self._said(spec))))

        def _said(self, spec: object) -> object:
            return self.get_property(spec.name)  # type: ignore[attr-defined]

    return Sensor, renaming("OffGpu", ON_GPU, PLAIN)


@pytest.fixture
def jetson() -> Iterator[None]:
    """A machine whose GStreamer has elements of NVIDIA's names."""
    assert lacking(ELEMENTS) == list(ELEMENTS), "this is a Jetson: test on a real camera"
    from gi.repository import Gst

    for name, kind in zip(ELEMENTS, _elements(), strict=True):
        assert Gst.Element.register(None, name, Gst.Rank.NONE, kind)
    asked.clear()
    yield
    for name in ELEMENTS:
        Gst.Registry.get().remove_feature(Gst.ElementFactory.find(name))


def test_a_sensor_is_seen_like_any_camera(jetson: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csi, "SETTLE_S", 0.0)
    told: list[str] = []
    frames = []
    with CsiCamera("csi:3", IMAGE, Picturing("locked", "auto"), told.append) as camera:
        deadline_s = time.monotonic() + HANG_S
        while len(frames) < 4 and time.monotonic() < deadline_s:
            frame = camera.next_frame(1.0)
            if frame is not None:
                frames.append(frame)
    assert [frame.pixels.shape for frame in frames] == [(32, 48, 3)] * 4
    assert not np.array_equal(frames[0].pixels, frames[-1].pixels)
    assert all(frame.source == "csi:3" for frame in frames)
    settings = ("sensor-id", "aelock", "awblock")
    assert [each for each in asked if each[0] in settings] == [
        ("sensor-id", 3),
        ("aelock", True),
        ("awblock", False),
    ]
    assert told == []


def test_what_it_cannot_do_is_said(jetson: None) -> None:
    told: list[str] = []
    with CsiCamera("csi:0", IMAGE, Picturing("stepped"), told.append):
        assert told == ["csi:0: this camera has no exposure in steps; it exposes by itself"]


def test_it_is_opened_by_its_name_and_kept_open(jetson: None) -> None:
    camera = choose_camera("csi:1")
    assert (camera.kind, camera.name, camera.is_live) == ("csi", "csi:1", True)
    with keep_open(camera, IMAGE, Picturing(), None) as steady:
        deadline_s = time.monotonic() + HANG_S
        while (frame := steady.next_frame(0.2)) is None:
            assert time.monotonic() < deadline_s, steady.problem
        assert frame.source == "csi:1"
    assert ("sensor-id", 1) in asked


def test_without_nvidias_elements_the_error_says_what_it_needs() -> None:
    with pytest.raises(DeviceError) as raised:
        choose_camera("csi:0").open(IMAGE)
    assert "csi:0: GStreamer has no nvarguscamerasrc and no nvvidconv here" in str(raised.value)
    assert "nvidia-l4t-gstreamer" in str(raised.value)


@pytest.mark.parametrize(
    "name", ["csi:", "csi:-1", "csi:x", "csi:16", "csi:007", "csi:1 ! fakesrc"]
)
def test_what_can_be_no_sensor_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=rf"give csi:0 to csi:{MOST_SENSORS - 1}$"):
        choose_camera(name)


def test_every_sensor_has_a_name_and_nothing_else_has() -> None:
    assert [sensor_of(f"csi:{number}") for number in range(MOST_SENSORS)] == list(
        range(MOST_SENSORS)
    )
    assert sensor_of("/dev/video0") is None


def test_it_sees_people_and_is_never_recorded(tmp_path) -> None:
    source = SettingsSource(data=tmp_path, flags={"camera.device": "csi:0"})
    with pytest.raises(UsageError, match="neither a display nor a sound card"):
        film_instead(Options(source=source), source.load())
