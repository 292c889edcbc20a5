"""Decoding a video file with PyAV: any second of its sound, the picture at any moment.

Picture and sound share one timeline: 0 is where the container starts, and every time below is in
seconds from there. Nothing but the seconds asked for is ever decoded or held in memory, except in
`iterate_frames`, which holds one frame.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import ThreadType
from av.container.input import InputContainer
from av.frame import Frame
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ytm_bundle.errors import MediaError
from ytm_training.picture import MAX_SIDE_PX, Pixels, fit_image, upright_rgb
from ytm_training.stretches import Sound, stretches

__all__ = ["Extent", "UnusableVideoError", "Video", "fit_image", "iterate_frames", "open_video"]

Reason = Literal[
    "unreadable",
    "not a video",
    "broken",
    "no picture",
    "no sound",
    "silent",
    "too short",
    "too large",
    "too long",
]

MAX_HOURS = 24
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,ogg,flv,asf,mxf,dv,rm,wtv,nut,"
    "mp3,wav,flac,aac,aiff,ivf,gif"
)
OPTIONS = {
    # A playlist or a reference inside a file must not make FFmpeg open another file or address.
    "protocol_whitelist": "file",
    "format_whitelist": _FORMATS,
    "max_pixels": str(MAX_SIDE_PX * MAX_SIDE_PX),
}
MAGIC = (b"ftyp", b"\x1aE\xdf\xa3", b"RIFF", b"\0\0\1\xba", b"OggS", b"FLV", b"0&\xb2u", b"moov")

# Seconds decoded before the moment wanted, each tried if the one before it started too late; the
# last means from the beginning. Audio decoders need some to settle (Opus 0.08 s, MP3 0.1 s), and
# the stamps of MPEG program streams are wrong for a few frames after a seek.
_BACK_S = (0.7, 5.0, 40.0, None)
_SETTLED_S = 0.2
_COVERED = 0.98


class UnusableVideoError(MediaError):
    """A file, or a moment of it, that cannot be used; `reason` says why, in few words."""

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True)
class Extent:
    """The time in which a video has both picture and sound, in seconds."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """Seconds from start to end, at least 0."""
        return max(0.0, self.end_s - self.start_s)


@contextmanager
def open_video(path: Path, origin_s: float | None = None) -> Iterator[Video]:
    """Open a video file.

    Args:
        path: the file.
        origin_s: where 0 is on the container's own clock; its start unless given.

    Raises:
        UnusableVideoError: it cannot be read, is no video, or is far too large or long.
    """
    _check_file(path)
    try:
        # The absolute name starts with a slash, so that FFmpeg cannot take it for an address.
        container = av.open(str(path.absolute()), options=OPTIONS, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise _unreadable(path, error) from error
    with closing(container):
        yield Video(path, container, origin_s)


def _check_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UnusableVideoError(f"{path}: {error.strerror}", "unreadable") from error
    if not stat.S_ISREG(mode):
        raise UnusableVideoError(f"{path}: not a regular file", "not a video")


def _unreadable(path: Path, error: Exception) -> UnusableVideoError:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as fault:
        return UnusableVideoError(f"{path}: cannot be read ({fault.strerror})", "unreadable")
    if any(magic in head for magic in MAGIC):
        return UnusableVideoError(f"{path}: broken or cut short ({error})", "broken")
    return UnusableVideoError(f"{path}: not a video that FFmpeg knows ({error})", "not a video")


class Video:
    """An open video file. Use it in one thread."""

    def __init__(
        self, path: Path, container: InputContainer, origin_s: float | None = None
    ) -> None:
        self._path, self._container = path, container
        self._picture: VideoStream | None = next(
            (s for s in container.streams.video if not s.disposition & Disposition.attached_pic),
            None,
        )
        self._sound: AudioStream | None = next(iter(container.streams.audio), None)
        start_s = (container.start_time or 0) / av.time_base
        self._origin_s = start_s if origin_s is None else origin_s
        if self._picture:
            self._check_size(self._picture.width, self._picture.height)
            self._picture.thread_type = ThreadType.AUTO
        if (container.duration or 0) / av.time_base > MAX_HOURS * 3600:
            raise UnusableVideoError(f"{path}: longer than {MAX_HOURS} hours", "too long")

    def _check_size(self, width: int, height: int) -> None:
        if max(width, height) > MAX_SIDE_PX:
            raise UnusableVideoError(
                f"{self._path}: {width}x{height} pixels, more than {MAX_SIDE_PX} on a side",
                "too large",
            )

    @property
    def has_sound(self) -> bool:
        """Whether there is a sound stream."""
        return self._sound is not None

    def extent(self) -> Extent:
        """Find the time that has both picture and sound, by reading every packet's stamp.

        Headers lie about the length of files that were cut short; packets do not.

        Raises:
            UnusableVideoError: there is no picture, no sound, or nothing of them.
        """
        spans: dict[int, list[float]] = {}
        streams = [self._need_picture(), self._need_sound()]
        self._seek(streams[0], 0, None)
        for packet in self._packets(*streams):
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is None or packet.is_corrupt:
                continue
            start_s = float(stamp * packet.time_base) - self._origin_s
            end_s = start_s + float((packet.duration or 0) * packet.time_base)
            span = spans.setdefault(packet.stream_index, [start_s, end_s])
            span[:] = min(span[0], start_s), max(span[1], end_s)
        if len(spans) < len(streams):
            missing = "picture" if streams[0].index not in spans else "sound"
            raise UnusableVideoError(f"{self._path}: its {missing} is empty", "broken")
        extent = Extent(
            max(0.0, *(start_s for start_s, _ in spans.values())),
            min(end_s for _, end_s in spans.values()),
        )
        if extent.length_s > MAX_HOURS * 3600:
            raise UnusableVideoError(f"{self._path}: longer than {MAX_HOURS} hours", "too long")
        return extent

    def picture_at(self, time_s: float) -> Pixels:
        """The picture on show at a moment: uint8 (height, width, 3) RGB, upright, square pixels.

        Raises:
            UnusableVideoError: there is none, or it cannot be decoded.
        """
        stream = self._need_picture()
        for back_s in _BACK_S:
            frame = self._frame_on_show(stream, time_s, back_s)
            if frame is not None:
                return upright_rgb(frame, stream.sample_aspect_ratio)
        raise UnusableVideoError(
            f"{self._path}: its picture at {time_s:.3f} s is damaged", "broken"
        )

    def _frame_on_show(
        self, stream: VideoStream, time_s: float, back_s: float | None
    ) -> VideoFrame | None:
        """The last whole frame at or before a moment; None if decoding began too late."""
        self._seek(stream, time_s, back_s)
        shown, whole = None, back_s is None
        for frame_s, frame in self._pictures(stream):
            if frame is None:
                shown, whole = None, False
                continue
            # Frames before the first key frame may refer to others that were not decoded.
            whole = whole or frame.key_frame
            if frame_s > time_s:
                first = shown is None and back_s is None and whole
                return frame if first else shown
            shown = frame if whole else shown
        return shown

    def sound(self, start_s: float, seconds: float, rate_hz: int) -> Sound:
        """Decode a stretch of sound, mixed to mono, exact to the sample.

        Args:
            start_s: seconds.
            seconds: length, in seconds.
            rate_hz: samples a second wanted.

        Returns:
            float32 (round(seconds * rate_hz),), 1.0 is full scale.

        Raises:
            UnusableVideoError: there is no sound, or too little of it can be decoded.
        """
        stream = self._need_sound()
        for back_s in _BACK_S:
            samples, covered = self._sound_from(stream, start_s, seconds, rate_hz, back_s)
            if covered >= _COVERED:
                return samples
        raise UnusableVideoError(f"{self._path}: its sound at {start_s:.3f} s is damaged", "broken")

    def whole_sound(self, rate_hz: int, at_most_s: float) -> Sound:
        """Decode all the sound of a file just opened, mixed to mono; gaps become silence.

        Returns:
            float32 (n,), 1.0 is full scale, from the first sample on; empty if none can be decoded.

        Raises:
            UnusableVideoError: there is no sound, or more than `at_most_s` seconds of it.
        """
        runs = []
        for run_s, run in stretches(self._bounded(self._need_sound(), at_most_s), rate_hz):
            runs.append((round(run_s * rate_hz), run))
        first = runs[0][0] if runs else 0
        samples = np.zeros(max((at - first + len(run) for at, run in runs), default=0), np.float32)
        for at, run in runs:
            samples[at - first : at - first + len(run)] = run
        return samples

    def _bounded(
        self, stream: AudioStream, at_most_s: float
    ) -> Iterator[tuple[float, AudioFrame | None]]:
        first_s: float | None = None
        for frame_s, frame in self._frames(stream):
            first_s = frame_s if first_s is None else first_s
            if frame_s - first_s > at_most_s:
                raise UnusableVideoError(
                    f"{self._path}: more than {at_most_s:g} s of sound; cut it", "too long"
                )
            yield frame_s, frame if isinstance(frame, AudioFrame) else None

    def _sound_from(
        self,
        stream: AudioStream,
        start_s: float,
        seconds: float,
        rate_hz: int,
        back_s: float | None,
    ) -> tuple[Sound, float]:
        """The stretch as decoded from `back_s` before it, and which share of it was there."""
        samples = np.zeros(round(seconds * rate_hz), np.float32)
        there = np.zeros(len(samples), bool)
        self._seek(stream, start_s, back_s)
        frames = self._sounds(stream, start_s - _BACK_S[0], start_s + seconds + _SETTLED_S)
        for run_s, run in stretches(frames, rate_hz):
            if back_s is not None and run_s > start_s - _SETTLED_S and not there.any():
                break
            offset = round((run_s - start_s) * rate_hz)
            begin, end = max(0, offset), min(len(samples), offset + len(run))
            if begin < end:
                samples[begin:end] = run[begin - offset : end - offset]
                there[begin:end] = True
        return samples, float(there.mean())

    def frames(self) -> Iterator[tuple[float, Pixels]]:
        """Every picture with its time, from where reading stands; see `iterate_frames`.

        There is no seeking to the beginning: in MPEG streams that loses the first pictures.
        """
        stream = self._need_picture()
        for frame_s, frame in self._pictures(stream):
            if frame is not None:
                yield frame_s, upright_rgb(frame, stream.sample_aspect_ratio)

    def _need_picture(self) -> VideoStream:
        if self._picture is None:
            raise UnusableVideoError(f"{self._path}: has no picture", "no picture")
        return self._picture

    def _need_sound(self) -> AudioStream:
        if self._sound is None:
            raise UnusableVideoError(f"{self._path}: has no sound", "no sound")
        return self._sound

    def _seek(self, stream: Stream, time_s: float, back_s: float | None) -> None:
        """Go to the last key frame at or before `time_s - back_s`, or to the beginning."""
        target_s = self._origin_s if back_s is None else self._origin_s + time_s - back_s
        target = target_s if target_s > self._origin_s else min(self._origin_s, 0.0)
        base = stream.time_base or 1
        try:
            self._container.seek(int(target / base), stream=stream, backward=True)
        except av.FFmpegError:
            # Some formats cannot seek before their first stamp, which is where they are then.
            self._container.seek(int(self._origin_s * av.time_base), any_frame=True)

    def _packets(self, *streams: Stream) -> Iterator[Packet[Stream]]:
        packets = self._container.demux(streams)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                return
            if packet is None:
                return
            yield packet

    def _pictures(self, stream: VideoStream) -> Iterator[tuple[float, VideoFrame | None]]:
        """Pictures with their times; None where one could not be decoded."""
        for frame_s, frame in self._frames(stream):
            if isinstance(frame, VideoFrame):
                self._check_size(frame.width, frame.height)
                yield frame_s, frame
            else:
                yield frame_s, None

    def _sounds(
        self, stream: AudioStream, begin_s: float, end_s: float
    ) -> Iterator[tuple[float, AudioFrame | None]]:
        """Pieces of sound between two times, with theirs; None where one could not be decoded."""
        for frame_s, frame in self._frames(stream):
            if frame_s > end_s:
                return
            if not isinstance(frame, AudioFrame):
                yield frame_s, None
            elif frame_s + frame.samples / frame.sample_rate > begin_s:
                yield frame_s, frame

    def _frames(self, stream: Stream) -> Iterator[tuple[float, Frame | None]]:
        """Frames with their times, which never go back; None where one could not be decoded."""
        latest_s = -np.inf
        for packet in self._packets(stream):
            try:
                decoded = packet.decode()
            except av.FFmpegError:
                yield latest_s, None
                continue
            for frame in decoded:
                if not isinstance(frame, Frame):
                    continue
                if frame.time is not None:
                    latest_s = max(latest_s, frame.time - self._origin_s)
                yield latest_s, None if frame.is_corrupt else frame


def iterate_frames(path: Path) -> Iterator[tuple[float, Pixels]]:
    """Every picture of a video, in order.

    Yields:
        Its time in seconds, and uint8 (height, width, 3) RGB, upright, with square pixels.

    Raises:
        UnusableVideoError: the file cannot be read or has no picture.
    """
    with open_video(path) as video:
        yield from video.frames()
