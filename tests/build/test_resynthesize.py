"""`ytm-resynthesize`: its figures for known sounds, and one line for whatever cannot be used."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ytm_build import resynthesize
from ytm_build.resynthesis import METHODS, modulation_db
from ytm_bundle.bundle import Bundle

RATE_HZ = 48000


@dataclass(frozen=True)
class Done:
    """How the command ended."""

    returncode: int
    stdout: str
    stderr: str


def _run(*arguments: object) -> Done:
    """The whole command, in this process: loading its libraries takes longer than its work."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["ytm-resynthesize", *map(str, arguments)])
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            resynthesize.main()
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def _glide(seconds: float = 1.0) -> np.ndarray:
    t_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    voices = [np.sin(2 * np.pi * k * (220 * t_s + 60 * t_s**2)) / k for k in range(1, 8)]
    breath = np.random.default_rng(5).normal(0, 0.05, t_s.size)
    return (0.2 * (np.sum(voices, axis=0) + breath)).astype(np.float32)


@pytest.fixture(scope="module")
def glide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "glide.flac"
    soundfile.write(path, _glide(), RATE_HZ)
    return path


def _figures(recording: Path, out: Path, *flags: object) -> dict[str, float]:
    done = _run(recording, out, "--json", *flags)
    assert done.returncode == 0, done.stderr
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def test_each_method_says_what_it_does_to_a_sound(glide: Path, tmp_path: Path) -> None:
    found = {
        method: _figures(glide, tmp_path / f"{method}.wav", "--method", method)
        for method in METHODS
    }
    for method in METHODS:
        samples, rate_hz = soundfile.read(tmp_path / f"{method}.wav", dtype="float32")
        assert rate_hz == RATE_HZ
        assert samples.size == round(found[method]["seconds"] * RATE_HZ) > 0.9 * RATE_HZ
    convergence = {method: figures["spectral_convergence"] for method, figures in found.items()}
    assert max(convergence["quality"], convergence["stream"]) < convergence["zero"]
    assert convergence["stream"] < 0.12
    assert convergence["paper"] > 3 * convergence["stream"]


def test_the_artworks_grains_are_heard_at_their_rate(glide: Path, tmp_path: Path) -> None:
    flags = ("--preset", "paper", "--method")
    grains = _figures(glide, tmp_path / "grains.wav", *flags, "paper")
    stream = _figures(glide, tmp_path / "stream.wav", *flags, "stream")
    assert grains["grain_rate_hz"] == pytest.approx(44100 / 2048)
    assert grains["grain_modulation_db"] > stream["grain_modulation_db"] + 15


def test_the_figures_are_said_in_words(glide: Path, tmp_path: Path) -> None:
    done = _run(glide, tmp_path / "out.wav")
    assert done.returncode == 0
    assert done.stdout == ""
    assert "spectral convergence 0.0" in done.stderr


def test_a_bundle_says_how_a_recording_is_analysed(
    glide: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    figures = _figures(glide, tmp_path / "out.wav", "--bundle", tiny_bundle_path)
    assert figures["hop_rate_hz"] == RATE_HZ / 128
    assert soundfile.info(tmp_path / "out.wav").samplerate == RATE_HZ


def test_the_same_recording_gives_the_same_file(glide: Path, tmp_path: Path) -> None:
    outs = [tmp_path / "one.wav", tmp_path / "two.wav"]
    for out in outs:
        _figures(glide, out)
    assert outs[0].read_bytes() == outs[1].read_bytes()


def _broken(folder: Path, kind: str) -> Path:
    path = folder / "broken.wav"
    if kind == "silent":
        soundfile.write(path, np.zeros(RATE_HZ), RATE_HZ)
    elif kind == "short":
        soundfile.write(path, _glide(0.1), RATE_HZ)
    elif kind == "long":
        soundfile.write(path, np.ones((resynthesize.MAX_S + 2) * 1000, np.float32) / 2, 1000)
    elif kind == "not finite":
        soundfile.write(path, np.full(RATE_HZ, np.nan, np.float32), RATE_HZ, subtype="FLOAT")
    elif kind == "text":
        path.write_text("no sound\n" * 100, encoding="utf-8")
    elif kind == "cut short":
        soundfile.write(path, _glide(), RATE_HZ)
        path.write_bytes(path.read_bytes()[:30])
    elif kind == "empty":
        path.touch()
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "No such file"),
        ("silent", "is silent"),
        ("short", "0.10 s of sound; give at least 0.5 s"),
        ("long", "more than 300 s of sound"),
        ("not finite", "not finite"),
        ("text", "not a video"),
        ("cut short", "broken.wav"),
        ("empty", "broken.wav"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(kind: str, words: str, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    done = _run(_broken(tmp_path, kind), out)
    assert done.returncode == 1
    assert done.stdout == ""
    assert words in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["out.mp3"], "ends in .wav"),
        (["out.wav", "--method", "magic"], "--method magic: unknown; choose one of stream"),
        (["out.wav", "--preset", "huge"], "--preset huge: unknown"),
        (["out.wav", "--preset", "paper", "--bundle", "b"], "not with --bundle"),
        (["/proc/out.wav"], "/proc/out.wav: cannot be written"),
    ],
)
def test_wrong_usage_exits_with_2(
    glide: Path, flags: list[str], words: str, tmp_path: Path
) -> None:
    done = _run(glide, *flags)
    assert done.returncode == 2
    assert words in done.stderr


def test_modulation_of_a_known_flutter() -> None:
    t_s = np.arange(4 * RATE_HZ) / RATE_HZ
    noise = np.random.default_rng(2).normal(0, 0.1, t_s.size)
    plain = (noise * (1 + 0.05 * np.cos(2 * np.pi * 23.4 * t_s))).astype(np.float32)
    fluttering = (noise * (1 + 0.5 * np.cos(2 * np.pi * 23.4 * t_s))).astype(np.float32)
    assert modulation_db(plain, plain, RATE_HZ, 23.4) == 0
    assert 10 < modulation_db(plain, fluttering, RATE_HZ, 23.4) < 21


def test_a_recording_is_not_written_over(glide: Path, tmp_path: Path) -> None:
    recording = tmp_path / "voice.wav"
    soundfile.write(recording, *soundfile.read(glide))
    before = recording.read_bytes()
    done = _run(recording, recording)
    assert done.returncode == 2
    assert "is the recording itself; give another name" in done.stderr
    assert recording.read_bytes() == before


def test_a_bundle_whose_sound_cannot_be_streamed_is_refused(
    glide: Path, tmp_path: Path, make_bundle: Callable[..., Path], tiny_bundle: Bundle
) -> None:
    sound = tiny_bundle.manifest.sound.model_copy(update={"n_fft": 240, "hop": 120})
    bundle = make_bundle(tmp_path / "odd", sound=sound)
    done = _run(glide, tmp_path / "out.wav", "--bundle", bundle)
    assert done.returncode == 2
    assert "hop 120 cannot be streamed with n_fft 240" in done.stderr
    assert not (tmp_path / "out.wav").exists()
