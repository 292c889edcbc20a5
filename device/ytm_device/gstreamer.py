"""A GStreamer pipeline with an owner: the only module that knows GStreamer's Python binding."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gi
import numpy as np
import numpy.typing as npt

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstVideo", "1.0")
# GstApp adds the methods of appsrc and appsink; importing it is what makes them callable.
from gi.repository import GLib, Gst, GstApp, GstVideo  # noqa: E402, F401

from ytm_bundle.errors import DeviceError, MediaError  # noqa: E402
from ytm_device.owner import Owner  # noqa: E402

PICTURES = "pictures"
"""Name of the appsink that `Pipeline.pull` reads."""
COLOUR = "colour"
"""Name of a capssetter after which every picture states its colorimetry."""
INSPECTED = "inspected"
"""Name of the element whose every buffer is shown to an `Inspector` before it goes on."""
CLOSE_S = 5.0
PUSH_S = 60.0
_POLL_S = 0.002
_REMEMBERED = 16
_MATRICES = ("bt601", "bt709", "bt2020")
_SD_LINES, _UHD_LINES = 576, 2160
"""Most lines of a picture that is taken for BT.601, and fewest of one taken for BT.2020, where the
stream states no matrix: GStreamer's rule, and training's. It holds for the picture as decoded, so
it is applied before scaling."""
_FULL_RANGE = "0-255"


@dataclass(frozen=True)
class Sample:
    """One decoded picture as it left the pipeline."""

    planes: tuple[npt.NDArray[np.uint8], ...]
    """RGB: one (height, width, 3); Y444: three (height, width), full-size luma and chroma."""
    matrix: str
    """`bt601`, `bt709` or `bt2020`: how Y444 was made of RGB."""
    full_range: bool
    """Y444 spans 0..255 instead of 16..235."""
    position_ns: int
    """Time within the stream."""
    clock_ns: int
    """When it was taken (live) or is due (played), on CLOCK_MONOTONIC."""
    sequence: int
    """Counts pictures that reached the end of the pipeline; a gap was overwritten by newer ones."""


@dataclass(frozen=True)
class RawBuffer:
    """What a source sent, before decoding. Its bytes can be read only while it is inspected."""

    media: str
    """Its media type: `image/jpeg`, `video/x-raw`."""
    size: int
    """Bytes."""
    read: Callable[[int, int], bytes]
    """`read(offset, length)` copies bytes out of it."""


Inspector = Callable[[RawBuffer], bool]
"""Whether a buffer goes on. Called in GStreamer's thread; raises nothing."""


@lru_cache(maxsize=1)
def _initialise() -> None:
    Gst.init(None)


def lacking(elements: Iterable[str]) -> list[str]:
    """Which of `elements` are not installed."""
    _initialise()
    return [name for name in elements if Gst.ElementFactory.find(name) is None]


class Pipeline(Owner):
    """One running pipeline. Errors on its bus become the error type that its owner chose."""

    def __init__(
        self,
        subject: str,
        description: str,
        settings: Mapping[str, object],
        error: type[DeviceError] | type[MediaError],
        fix: str,
        inspector: Inspector | None = None,
    ) -> None:
        """Build the pipeline and start it.

        Args:
            subject: what an error names first: a file or a device.
            description: as for gst-launch-1.0; constants of ours only, never a user's text.
            settings: `element.property` -> value, for names of files and devices.
            error: raised for everything that goes wrong.
            fix: what a person can do about it; ends the error's line.
            inspector: is shown every buffer that leaves the element `INSPECTED`.
        """
        _initialise()
        self._subject, self._error, self._fix = subject, error, fix
        try:
            self._pipeline = Gst.parse_launch(description)
        except GLib.Error as failure:  # an element's plugin is not installed
            raise error(f"{subject}: GStreamer: {failure.message}; run make setup") from failure
        for key, value in settings.items():
            self.set(key, value)
        self._bus = self._pipeline.get_bus()
        self._arrived = 0
        self._sequences: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._probes: list[tuple[Any, int]] = []
        self._listen(inspector)
        # Every pipeline on the same clock as time.monotonic_ns, whatever a sound card would offer.
        self._pipeline.use_clock(Gst.SystemClock.obtain())
        if self._pipeline.set_state(Gst.State.PLAYING) == Gst.StateChangeReturn.FAILURE:
            try:
                self._fail_with_reason()
            finally:
                self.close()

    def _listen(self, inspector: Inspector | None) -> None:
        self._sink = self._pipeline.get_by_name(PICTURES)
        if self._sink is not None:
            self._probe(self._sink, "sink", Gst.PadProbeType.BUFFER, self._count)
        colour = self._pipeline.get_by_name(COLOUR)
        if colour is not None:
            event = Gst.PadProbeType.EVENT_DOWNSTREAM
            self._probe(colour, "sink", event, _state_colorimetry, colour)
        if inspector is not None:
            element = self._pipeline.get_by_name(INSPECTED)
            self._probe(element, "src", Gst.PadProbeType.BUFFER, _inspect, inspector)

    def _probe(self, element: Any, pad_name: str, kind: Any, *call: Any) -> None:
        pad = element.get_static_pad(pad_name)
        self._probes.append((pad, pad.add_probe(kind, *call)))

    def set(self, key: str, value: object) -> None:
        """Give `element.property` a value, before it starts or while it runs."""
        element, _, name = key.partition(".")
        self._pipeline.get_by_name(element).set_property(name, value)

    def close(self) -> None:
        """Stop it and release files and devices."""
        self._pipeline.set_state(Gst.State.NULL)
        self._pipeline.get_state(int(CLOSE_S * Gst.SECOND))
        # A probe holds what it calls, which holds the pipeline: Python cannot see that ring.
        while self._probes:
            pad, probe = self._probes.pop()
            pad.remove_probe(probe)

    @property
    def ended(self) -> bool:
        """Every picture has been pulled and no more will come."""
        return bool(self._sink.is_eos())

    def pull(self, timeout_s: float) -> Sample | None:
        """Wait for the next picture, at most `timeout_s`; None if none came or it has ended."""
        sample = self._sink.try_pull_sample(int(timeout_s * Gst.SECOND))
        if sample is None:
            self.check()
            return None
        return self._read(sample)

    def push(self, source: str, data: bytes, start_ns: int, length_ns: int, queued: int) -> None:
        """Give `data` to the appsrc `source` once it holds at most `queued` bytes.

        Waits for the work behind it, at most `PUSH_S`; ends at once with the error if that fails.
        """
        appsrc = self._pipeline.get_by_name(source)
        deadline_s = time.monotonic() + PUSH_S
        while appsrc.get_current_level_bytes() > queued:
            self.check(_POLL_S)
            if time.monotonic() > deadline_s:
                raise self._error(f"{self._subject}: GStreamer took nothing in {PUSH_S:g} s")
        buffer = Gst.Buffer.new_wrapped(data)
        buffer.pts, buffer.duration = start_ns, length_ns
        if appsrc.push_buffer(buffer) != Gst.FlowReturn.OK:
            self._fail_with_reason()

    def finish(self, sources: tuple[str, ...], timeout_s: float) -> None:
        """Say that no more comes from `sources` and wait until the last byte is written."""
        for source in sources:
            self._pipeline.get_by_name(source).end_of_stream()
        ends = Gst.MessageType.ERROR | Gst.MessageType.EOS
        message = self._bus.timed_pop_filtered(int(timeout_s * Gst.SECOND), ends)
        if message is None:
            raise self._error(f"{self._subject}: GStreamer did not finish in {timeout_s:g} s")
        if message.type == Gst.MessageType.ERROR:
            raise self._error_of(message)

    def rewind(self) -> None:
        """Play again from the beginning, at once."""
        flags = Gst.SeekFlags.FLUSH | Gst.SeekFlags.KEY_UNIT
        if not self._pipeline.seek_simple(Gst.Format.TIME, flags, 0):
            raise self._error(f"{self._subject}: cannot be played from the beginning again")

    def check(self, timeout_s: float = 0) -> None:
        """Raise what has gone wrong, waiting for it at most `timeout_s`."""
        wait_ns = int(timeout_s * Gst.SECOND)
        message = self._bus.timed_pop_filtered(wait_ns, Gst.MessageType.ERROR)
        if message is not None:
            raise self._error_of(message)

    def _fail_with_reason(self) -> None:
        self.check(CLOSE_S)
        raise self._error(f"{self._subject}: GStreamer stopped and gave no reason")

    def _error_of(self, message: Any) -> DeviceError | MediaError:
        failure, debug = message.parse_error()
        # The first line of the debug text is a place in GStreamer's source; the rest is the reason.
        reason = " ".join((debug or "").splitlines()[1:])[:200]
        reason = f" ({reason})" if reason else ""
        return self._error(
            f"{self._subject}: {failure.message.strip().rstrip('.')}{reason}"
            f" [{message.src.get_name()}]; {self._fix}"
        )

    def _count(self, _pad: Any, info: Any) -> Any:
        self._sequences.append((info.get_buffer().pts, self._arrived))
        self._arrived += 1
        return Gst.PadProbeReturn.OK

    def _read(self, sample: Any) -> Sample:
        buffer, caps = sample.get_buffer(), sample.get_caps()
        structure = caps.get_structure(0)
        _, lines = structure.get_int("height")
        matrix, full_range = _colorimetry(structure.get_string("colorimetry"), lines)
        running_ns = sample.get_segment().to_running_time(Gst.Format.TIME, buffer.pts)
        sequence = next(
            (n for pts, n in reversed(tuple(self._sequences)) if pts == buffer.pts), self._arrived
        )
        return Sample(
            planes=_planes(buffer, GstVideo.VideoInfo.new_from_caps(caps)),
            matrix=matrix,
            full_range=full_range,
            position_ns=sample.get_segment().to_stream_time(Gst.Format.TIME, buffer.pts),
            clock_ns=self._pipeline.get_base_time() + running_ns,
            sequence=sequence,
        )


def _inspect(pad: Any, info: Any, inspector: Inspector) -> Any:
    buffer = info.get_buffer()
    media = pad.get_current_caps().get_structure(0).get_name()
    good = inspector(RawBuffer(media, buffer.get_size(), buffer.extract_dup))
    return Gst.PadProbeReturn.OK if good else Gst.PadProbeReturn.DROP


def _planes(buffer: Any, info: Any) -> tuple[npt.NDArray[np.uint8], ...]:
    """Copy the pixels out of a mapped buffer, leaving the padding at the end of each row."""
    ok, mapped = buffer.map(Gst.MapFlags.READ)
    if not ok:
        raise DeviceError("GStreamer gave a picture that cannot be read from memory")
    try:
        data = np.frombuffer(mapped.data, np.uint8)
        count, pixel = (1, 3) if info.finfo.name == "RGB" else (3, 1)
        return tuple(
            _rows(data, info.offset[i], info.stride[i], info.height, info.width, pixel)
            for i in range(count)
        )
    finally:
        buffer.unmap(mapped)


def _rows(
    data: npt.NDArray[np.uint8], offset: int, stride: int, height: int, width: int, pixel: int
) -> npt.NDArray[np.uint8]:
    shape = (height, width, pixel) if pixel > 1 else (height, width)
    strides = (stride, pixel, 1) if pixel > 1 else (stride, 1)
    last = offset + (height - 1) * stride + width * pixel
    rows = np.lib.stride_tricks.as_strided(data[offset:last], shape, strides)
    return np.array(rows, np.uint8)


def _state_colorimetry(_pad: Any, info: Any, colour: Any) -> Any:
    """Make the capssetter add what the caps that are about to reach it leave open."""
    event = info.get_event()
    if event.type == Gst.EventType.CAPS:
        structure = event.parse_caps().get_structure(0)
        if structure.get_string("format") != "RGB":
            _, lines = structure.get_int("height")
            matrix, full_range = _colorimetry(structure.get_string("colorimetry"), lines)
            stated = GstVideo.VideoColorimetry()
            stated.from_string(matrix)
            spelled = f"{1 if full_range else 2}:{int(stated.matrix)}:0:0"
            caps = Gst.Caps.from_string(f"video/x-raw,colorimetry=(string){spelled}")
            colour.set_property("caps", caps)
    return Gst.PadProbeReturn.OK


def _colorimetry(text: str | None, lines: int) -> tuple[str, bool]:
    """Matrix and whether the range is full, of a picture of so many lines."""
    colorimetry = GstVideo.VideoColorimetry()
    if text is None or not colorimetry.from_string(text):
        return _unstated(lines), False
    matrix = colorimetry.matrix.value_nick
    full_range = colorimetry.range.value_nick == _FULL_RANGE
    return matrix if matrix in _MATRICES else _unstated(lines), full_range


def _unstated(lines: int) -> str:
    if lines >= _UHD_LINES:
        return "bt2020"
    return "bt709" if lines > _SD_LINES else "bt601"
