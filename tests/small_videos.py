"""Small videos with known pixels, written by GStreamer for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ytm_bundle.errors import MediaError
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.colour import LUMA_WEIGHTS
from ytm_device.camera.source import pixels, scaling, sink
from ytm_device.gstreamer import Pipeline

FINISH_S = 60.0


def run(path: Path, description: str) -> Path:
    """Run a pipeline that ends in a filesink called `file` until it ends."""
    settings = {"file.location": str(path)}
    with Pipeline(str(path), description, settings, MediaError, "") as pipeline:
        pipeline.finish((), FINISH_S)
    return path


def moving(path: Path, frames: int, rate_hz: int = 30, width: int = 64, height: int = 48) -> Path:
    """A ball that moves, in H.264."""
    return run(
        path,
        f"videotestsrc pattern=ball num-buffers={frames} !"
        f" video/x-raw,width={width},height={height},framerate={rate_hz}/1 !"
        " x264enc speed-preset=ultrafast ! mp4mux ! filesink name=file",
    )


def ycbcr(rgb: Sequence[int], matrix: str, full_range: bool) -> tuple[int, int, int]:
    """The 8-bit code of a colour: ITU-R BT.601, BT.709 or BT.2020."""
    red, green, blue = (value / 255 for value in rgb)
    weight_red, weight_blue = LUMA_WEIGHTS[matrix]
    luma = weight_red * red + (1 - weight_red - weight_blue) * green + weight_blue * blue
    chroma = ((blue - luma) / (2 * (1 - weight_blue)), (red - luma) / (2 * (1 - weight_red)))
    offset, luma_gain, chroma_gain = (0, 255, 255) if full_range else (16, 219, 224)
    codes = (offset + luma_gain * luma, *(128 + chroma_gain * part for part in chroma))
    blue_difference, red_difference = (min(255, round(code)) for code in codes[1:])
    return round(codes[0]), blue_difference, red_difference


def striped(
    colours: Sequence[Sequence[int]], matrix: str, full_range: bool, width: int, height: int
) -> bytes:
    """I420 bytes of upright stripes of these colours, from left to right."""
    codes = [ycbcr(colour, matrix, full_range) for colour in colours]
    columns = np.arange(width) * len(codes) // width
    planes = [
        np.tile(np.array([code[i] for code in codes], np.uint8)[columns], (height, 1))
        for i in range(3)
    ]
    reduced = (plane[::step, ::step] for plane, step in zip(planes, (1, 2, 2), strict=True))
    return b"".join(plane.tobytes() for plane in reduced)


def scaled(
    image: ImageSpec,
    picture: bytes,
    width: int,
    height: int,
    caps: str = "",
    tags: str = "",
) -> np.ndarray:
    """One I420 picture, of a stream with these caps and tags, through the elements of the mirror.

    uint8 (height, width, 3) RGB.
    """
    inject = f'taginject tags="{tags}" ! ' if tags else ""
    description = (
        f"appsrc name=in format=time caps=video/x-raw,format=I420,width={width},height={height},"
        f"framerate=30/1{caps} ! {inject}{scaling(image)} ! "
        f"{sink(realtime=False, newest_only=False)}"
    )
    with Pipeline("stripes", description, {}, MediaError, "") as pipeline:
        pipeline.push("in", picture, 0, 10**9 // 30, len(picture))
        sample = pipeline.pull(FINISH_S)
        assert sample is not None
        return pixels(sample)
