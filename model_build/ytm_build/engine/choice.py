"""Which builder makes the engines, and where they go."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

from ytm_build.engine.builder import EngineBuilder
from ytm_build.engine.onnx import OnnxBuilder
from ytm_build.engine.tensorrt import TensorRtBuilder
from ytm_bundle.checksums import ENGINES_FOLDER
from ytm_bundle.engines import engine_places
from ytm_bundle.errors import DeviceError, EngineError, UsageError
from ytm_device.bundles import DATA
from ytm_device.engines.cuda import first_gpu

KEPT = 4
"""Engines that stay on a board: of the bundles that took turns of late, or of an older system."""


class Backend(str, Enum):
    """What is to run the engines."""

    auto = "auto"
    tensorrt = "tensorrt"
    onnxruntime = "onnxruntime"


def builder_for(backend: Backend) -> EngineBuilder:
    """The builder that is wanted; with `auto`, TensorRT.

    Raises:
        EngineError: there is no GPU or no TensorRT here.
    """
    if backend == Backend.onnxruntime:
        return OnnxBuilder()
    try:
        builder = TensorRtBuilder()
        first_gpu()
    except DeviceError as error:
        raise EngineError(
            f"no engines can be built for a GPU here: {error}; on the board itself they can"
            f" (--on USER@BOARD), and for this processor with --backend {Backend.onnxruntime.value}"
        ) from error
    return builder


def places_for(bundle: Path, into: Path | None, data: Path = DATA) -> tuple[Path, ...]:
    """Where engines may be; the first is where they are written.

    That is `into` if given; else what lasts on a board; else the bundle's own folder.

    Raises:
        UsageError: the bundle is a file, and there is no other place.
    """
    if into is not None:
        return (into / ENGINES_FOLDER,)
    places = engine_places(bundle, data)
    if data.is_dir() and os.access(data, os.W_OK):
        return tuple(reversed(places))
    if bundle.is_dir():
        return places
    raise UsageError(
        f"{bundle}: a packed bundle holds no engines; unpack it, or give --into DIR for them"
    )


def kept_in(place: Path, data: Path = DATA) -> int | None:
    """How many engines stay in `place`; None: all, since it is somebody's own folder."""
    return KEPT if place == data / ENGINES_FOLDER else None
