"""What faults are planted in: an installation in memory, whose replay is never silent nor black."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eyes import x_is_there
from films import BALL, film
from ytm_bundle.manifest import SoundSpec, StreamInversion

MEMORY = Path("/dev/shm")
SOUND = SoundSpec(
    analysis_rate_hz=48000,
    playback_rate_hz=48000,
    n_fft=1024,
    hop=256,
    n_mels=32,
    frames=94,
    floor_db=-60,
    ceiling_db=20,
    loudness_lufs=-23,
    inversion=StreamInversion(look_ahead_frames=1, iterations=4, updates=2),
)
BALL_S = 4.0


@pytest.fixture(scope="session")
def bundle(make_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle whose sound is streamed: noise, in picture and in sound."""
    inputs = {"image_to_sound": ("latent", "image")}
    return make_bundle(tmp_path_factory.mktemp("bundle") / "noise", sound=SOUND, inputs=inputs)


@pytest.fixture(scope="session")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of a ball that moves."""
    return film(tmp_path_factory.mktemp("films") / "ball.mp4", [(BALL, BALL_S)])


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory, as /run on a board: what a card hears must not wait for a disk."""
    if not x_is_there():
        pytest.skip("needs Xvfb for a screen (Debian package xvfb)")
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    """Neither a display nor a sound card."""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "NOTIFY_SOCKET")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | {"XDG_RUNTIME_DIR": str(folder), "OMP_NUM_THREADS": "1"}
