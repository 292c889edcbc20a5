"""What several tests of the device need: the sound of both presets, and an X server's screen."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
import pytest

from compiled import shared_library
from fake_camera import FakeCamera
from ytm_bundle.bundle import MelMatrices
from ytm_bundle.manifest import GrainInversion, Inversion, SoundSpec, StreamInversion


@dataclass(frozen=True)
class Preset:
    """The sound of a preset, and the scaled mel and the samples of a chord that glides."""

    sound: SoundSpec
    matrices: MelMatrices
    samples: np.ndarray
    mel: np.ndarray


def _preset(analysis_rate_hz: int, hop: int, frames: int, inversion: Inversion) -> Preset:
    sound = SoundSpec(
        analysis_rate_hz=analysis_rate_hz,
        playback_rate_hz=48000,
        n_fft=1024,
        hop=hop,
        n_mels=128,
        frames=frames,
        floor_db=-50,
        ceiling_db=30,
        loudness_lufs=-23,
        inversion=inversion,
    )
    bank = librosa.filters.mel(sr=analysis_rate_hz, n_fft=sound.n_fft, n_mels=sound.n_mels)
    matrices = MelMatrices(bank, np.linalg.pinv(bank, rcond=1e-6).astype(np.float32))
    samples = _gliding_chord(analysis_rate_hz, (frames - 1) * hop)
    spectrum = librosa.stft(samples, n_fft=sound.n_fft, hop_length=hop)
    mel = sound.scale(bank @ np.abs(spectrum) ** 2)
    return Preset(sound, matrices, samples, mel)


def _gliding_chord(rate_hz: int, length: int) -> np.ndarray:
    """float32 (length,): three voices with overtones that glide upwards, and some breath."""
    rng = np.random.default_rng(7)
    t_s = np.arange(length) / rate_hz
    voices = [
        np.sin(2 * np.pi * overtone * (pitch_hz * t_s + 40 * t_s**2)) / overtone
        for pitch_hz in (220, 277, 330)
        for overtone in range(1, 9)
    ]
    breath = rng.normal(0, 0.1, length)
    return (0.08 * (np.sum(voices, axis=0) + breath)).astype(np.float32)


def _continuous(inversion: Inversion) -> Preset:
    return _preset(48000, 256, 188, inversion)


def _paper() -> Preset:
    return _preset(44100, 512, 9, GrainInversion(frames=5, iterations=5))


@pytest.fixture(scope="session")
def continuous() -> Preset:
    """The preset whose sound is streamed."""
    return _continuous(StreamInversion(look_ahead_frames=1, iterations=12, updates=2))


@pytest.fixture(scope="session", params=["continuous", "paper"])
def preset(request: pytest.FixtureRequest, continuous: Preset) -> Preset:
    """Both presets, one after the other."""
    return _paper() if request.param == "paper" else continuous


@pytest.fixture(scope="session", params=["continuous", "paper"])
def grains_preset(request: pytest.FixtureRequest) -> Preset:
    """Both presets, played by grains of 2,048 samples."""
    if request.param == "paper":
        return _paper()
    return _continuous(GrainInversion(frames=9, iterations=5))


SCREEN_WIDTH, SCREEN_HEIGHT = 360, 640
HANG_S = 30


@dataclass(frozen=True)
class Screen:
    """The screen of an X server that draws into a file."""

    display: str
    _file: Path

    def pixels(self) -> np.ndarray:
        """What it shows: uint8 (height, width, 3), RGB."""
        data = self._file.read_bytes()
        header = np.frombuffer(data, ">u4", 25)
        size, width, height, bits, row_bytes = (int(header[i]) for i in (0, 4, 5, 11, 12))
        colours = int(header[19])
        assert bits == 32
        start = size + 12 * colours
        rows = np.frombuffer(data, np.uint8, height * row_bytes, start).reshape(height, row_bytes)
        return rows[:, : width * 4].reshape(height, width, 4)[..., 2::-1]


@pytest.fixture(scope="session")
def x_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    """A running Xvfb."""
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb for a screen (Debian package xvfb)")
    folder = tmp_path_factory.mktemp("x")
    reading, writing = os.pipe()
    screen = f"{SCREEN_WIDTH}x{SCREEN_HEIGHT}x24"
    server = subprocess.Popen(
        [
            "Xvfb",
            "-noreset",
            "-displayfd",
            str(writing),
            "-screen",
            "0",
            screen,
            "-fbdir",
            str(folder),
        ],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as ready:
        number = ready.readline().strip()
    assert number, "Xvfb ended before it had a display"
    yield Screen(f":{number}", folder / "Xvfb_screen0")
    server.terminate()
    server.wait(HANG_S)


@pytest.fixture
def screen(x_server: Screen, monkeypatch: pytest.MonkeyPatch) -> Screen:
    """The screen that a window of this process opens on."""
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", x_server.display)
    return x_server


CARD = """
pcm_type.paced {{ lib "{library}" }}
pcm.card {{ type paced file "{folder}/card.raw" rate 48000 channels 2 period 256 }}
pcm.card44 {{ type paced file "{folder}/card44.raw" rate 44100 channels 1 period 300 }}
pcm.!default {{ type plug slave.pcm card44 hint {{ show on description "for tests" }} }}
"""


@pytest.fixture
def paced_cards(tmp_path: Path, card_library: Path) -> Path:
    """Configuration of ALSA with a paced card of 48 kHz, one of 44.1 kHz, and it as `default`."""
    configuration = tmp_path / "asound.conf"
    configuration.write_text(CARD.format(folder=tmp_path, library=card_library))
    return configuration


@pytest.fixture(scope="session")
def camera_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`fake_v4l2.c`, compiled."""
    if shutil.which("gcc") is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("needs gcc and linux-libc-dev to build a camera")
    source = Path(__file__).with_name("fake_v4l2.c")
    return shared_library(source, tmp_path_factory.mktemp("v4l2"), "-ldl")


@pytest.fixture
def fake_camera(tmp_path: Path, camera_library: Path) -> FakeCamera:
    """A camera that is not plugged in yet."""
    folder = tmp_path / "machine"
    (folder / "dev").mkdir(parents=True)
    return FakeCamera(folder, camera_library)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Neither a display nor a sound card, and a runtime folder to look into."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    no_cards = tmp_path / "no-cards.conf"
    no_cards.touch()
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | {
        "XDG_RUNTIME_DIR": str(runtime),
        "ALSA_CONFIG_PATH": str(no_cards),
        "OMP_NUM_THREADS": "1",
    }
