"""A video that is elsewhere: how long it is, and copies of short windows of it, packet by packet.

Nothing is decoded or encoded here. The copy is a Matroska file whose clock is the video's own, so
that a moment has the same time there as in the whole video, and picture and sound stay in step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import av
from av.container.input import InputContainer
from av.packet import Packet
from av.stream import Disposition

from ytm_training.fetch.faults import FetchError
from ytm_training.fetch.ranged import RangedFile
from ytm_training.media import MAGIC, MAX_HOURS, OPTIONS, Extent

ORIGIN_S = 10.0
"""Where 0 of the video is on the clock of a copy: nothing there is ever before its beginning."""

_IN_PIECES = ("mov", "matroska")
"""Formats (FFmpeg's names) whose header says where everything is."""

# Left alone, the muxer would move a beginning whose decoding starts before 0.
_MUXING = {"avoid_negative_ts": "disabled"}

Window = tuple[float, float]


class Remote:
    """The open files of one video; use it in one thread."""

    def __init__(self, files: Sequence[RangedFile], containers: Sequence[InputContainer]) -> None:
        self._files, self._containers = files, containers
        self._origin_s = min((c.start_time or 0) / av.time_base for c in containers)
        self._streams = [
            stream for stream in (self._first("video"), self._first("audio")) if stream is not None
        ]

    def _first(self, kind: str) -> tuple[InputContainer, Any] | None:
        for container in self._containers:
            for stream in container.streams:
                if stream.type == kind and not stream.disposition & Disposition.attached_pic:
                    return container, stream
        return None

    def in_pieces(self) -> bool:
        """Whether windows of it can be copied, rather than the whole video."""
        known = all(c.format.name.startswith(_IN_PIECES) for c in self._containers)
        return known and all(self._length_s(*each) > 0 for each in self._streams)

    def check(self) -> None:
        """See that there is a picture and a sound.

        Raises:
            FetchError: there is not.
        """
        kinds = {stream.type for _, stream in self._streams}
        for kind, reason in (("video", "no picture"), ("audio", "no sound")):
            if kind not in kinds:
                raise FetchError(reason, "final")

    def extent(self) -> Extent:
        """The time that has both picture and sound, as the headers say.

        Raises:
            FetchError: it is far too long.
        """
        starts = [self._start_s(*each) for each in self._streams]
        ends = [self._start_s(*each) + self._length_s(*each) for each in self._streams]
        extent = Extent(max(0.0, *starts), min(ends))
        if extent.length_s > MAX_HOURS * 3600:
            raise FetchError("too long", "final")
        return extent

    def _start_s(self, container: InputContainer, stream: Any) -> float:
        if stream.start_time is None:
            return (container.start_time or 0) / av.time_base - self._origin_s
        return float(stream.start_time * stream.time_base) - self._origin_s

    @staticmethod
    def _length_s(container: InputContainer, stream: Any) -> float:
        if stream.duration:
            return float(stream.duration * stream.time_base)
        return (container.duration or 0) / av.time_base

    def copy(self, windows: Sequence[Window], path: Path) -> None:
        """Copy the packets of windows, each from the key frame before it on.

        Args:
            windows: begin and end in seconds, ascending, none touching another.
            path: the Matroska file to write; its clock is `ORIGIN_S` ahead of the video's.

        Raises:
            FetchError: they cannot be read.
        """
        try:
            with av.open(str(path), "w", "matroska", options=_MUXING) as out:
                copies = [out.add_stream_from_template(stream) for _, stream in self._streams]
                latest = [-1.0] * len(copies)
                for window in windows:
                    for number, packet in self._packets(window, latest):
                        packet.stream = copies[number]
                        out.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            self._raise_fault()
            raise FetchError("broken", "final") from error
        self._raise_fault()

    def _packets(self, window: Window, latest: list[float]) -> Iterator[tuple[int, Packet[Any]]]:
        """Packets of a window by the time at which they are decoded, none for a second time."""
        found: list[tuple[float, int, Packet[Any]]] = []
        for container in self._containers:
            mine = {
                stream.index: number
                for number, (owner, stream) in enumerate(self._streams)
                if owner is container
            }
            if mine:
                found += self._of_container(container, mine, window)
        for when_s, number, packet in sorted(found, key=lambda each: each[0]):
            if when_s > latest[number]:
                latest[number] = when_s
                yield number, packet

    def _of_container(
        self, container: InputContainer, numbers: dict[int, int], window: Window
    ) -> Iterator[tuple[float, int, Packet[Any]]]:
        streams = [container.streams[index] for index in numbers]
        leading = min(streams, key=lambda stream: numbers[stream.index])
        begin_s, end_s = (self._origin_s + time_s for time_s in window)
        base = leading.time_base or 1
        container.seek(int(max(begin_s, 0.0) / base), stream=leading)
        pending = {stream.index for stream in streams}
        for packet in container.demux(streams):
            if packet.dts is None or packet.pts is None:
                continue
            tick_s = float(packet.time_base)
            if packet.dts * tick_s > end_s:
                pending.discard(packet.stream_index)
            elif packet.stream_index in pending:
                when_s = packet.dts * tick_s - self._origin_s + ORIGIN_S
                shift = round((ORIGIN_S - self._origin_s) / tick_s)
                number = numbers[packet.stream_index]
                packet.dts, packet.pts = packet.dts + shift, packet.pts + shift
                yield when_s, number, packet
            if not pending:
                return

    def _raise_fault(self) -> None:
        """Raise what went wrong under FFmpeg's hands, if anything did."""
        for file in self._files:
            if file.fault is not None:
                raise file.fault


@contextmanager
def open_remote(files: Sequence[RangedFile]) -> Iterator[Remote]:
    """Open the files of a video.

    Raises:
        FetchError: one of them is no video, or cannot be read.
    """
    with ExitStack() as stack:
        containers = []
        for file in files:
            try:
                containers.append(
                    stack.enter_context(av.open(file, options=OPTIONS, metadata_errors="replace"))
                )
            except (av.FFmpegError, OSError, ValueError) as error:
                raise file.fault or FetchError(_what(file), "final") from error
        yield Remote(files, containers)


def _what(file: RangedFile) -> str:
    """What a file is that FFmpeg cannot open."""
    file.seek(0)
    head = file.read(16)
    return "broken" if any(magic in head for magic in MAGIC) else "not a video"
