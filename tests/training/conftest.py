"""Small videos with known pictures and sounds, made by the real encoders."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from ytm_training.collect.command import main

Picture = Callable[[float], npt.NDArray[np.uint8]]
RATE_HZ = 48000


def grey(level: int, width: int = 64, height: int = 48) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


def make_video(
    path: Path,
    seconds: float = 3.0,
    picture: Picture | None = None,
    sound: npt.NDArray[np.float32] | None = None,
    *,
    silent: bool = False,
    codec: str = "libx264",
    sound_codec: str = "aac",
    rate_hz: int = RATE_HZ,
    fps: int = 25,
    stamps: Sequence[int] | None = None,
    video_delay_s: float = 0.0,
    sound_delay_s: float = 0.0,
    gop: int = 250,
    pixel_format: str = "yuv420p",
    rotation: int | None = None,
    aspect: Any = None,
) -> Path:
    """Encode a video; by default a brightening grey with a 440 Hz tone."""
    picture = picture or (lambda t_s: grey(round(40 + 150 * t_s / seconds)))
    if sound is None and not silent:
        time_s = np.arange(round(seconds * rate_hz)) / rate_hz
        sound = (0.3 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)
    first = picture(0.0)
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=fps)
        video.height, video.width = first.shape[:2]
        video.pix_fmt, video.gop_size = pixel_format, gop
        if codec == "libx264":
            video.options = {"preset": "ultrafast", "crf": "10", "sc_threshold": "0"}
        if aspect is not None:
            video.codec_context.sample_aspect_ratio = aspect
        if rotation is not None:
            video.set_display_rotation(rotation)
        hearing = None
        if sound is not None:
            hearing = container.add_stream(sound_codec, rate=rate_hz, layout="mono")
        packets = []
        for stamp in range(round(seconds * fps)) if stamps is None else stamps:
            frame = av.VideoFrame.from_ndarray(picture(stamp / fps), format="rgb24")
            frame.pts = stamp + round(video_delay_s * fps)
            packets += video.encode(frame)
        packets += video.encode(None)
        if hearing is not None and sound is not None:
            packets += _encoded_sound(hearing, sound, rate_hz, sound_delay_s)
        container.mux(packets)
    return path


def _encoded_sound(
    stream: Any, sound: npt.NDArray[np.float32], rate_hz: int, delay_s: float
) -> list[Any]:
    frame = av.AudioFrame.from_ndarray(sound[None, :], format="flt", layout="mono")
    frame.sample_rate, frame.pts = rate_hz, round(delay_s * rate_hz)
    resampler = av.AudioResampler(stream.format, "mono", rate_hz, stream.frame_size or 1024)
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    return [packet for piece in (*pieces, None) for packet in stream.encode(piece)]


@pytest.fixture(scope="session")
def video_maker() -> Callable[..., Path]:
    """The function that encodes a video; see `make_video`."""
    return make_video


@pytest.fixture
def collect(capsys, monkeypatch):
    """Run ytm-collect as a person would; what it printed, and its messages."""

    def run(videos: Path, out: Path, *flags: str, code: int = 0) -> tuple[str, str]:
        arguments = ["ytm-collect", "--videos", str(videos), "--out", str(out), *flags]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        printed, messages = capsys.readouterr()
        assert (ended.value.code or 0) == code, messages
        return printed, messages

    return run
