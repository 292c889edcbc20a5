from __future__ import annotations

import subprocess
import tracemalloc
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import SoundSpec, StreamInversion
from ytm_device.sound.player import Player
from ytm_device.sound.streaming import compiled
from ytm_device.sound.streaming.compiled import CompiledStream
from ytm_device.sound.streaming.reference import ReferenceStream
from ytm_device.sound.streaming.stream import MelStream, play_once, stream_whole
from ytm_device.sound.streaming.tables import StreamTables
from ytm_training.media import open_video

RATE_HZ, N_FFT, HOP = 48000, 1024, 256
STREAM = StreamInversion(look_ahead_frames=1, iterations=12, updates=2)
QUALITY = StreamInversion(look_ahead_frames=3, iterations=16, updates=2)
ZERO = StreamInversion(look_ahead_frames=0, iterations=12, updates=2)
LOOK_AHEADS = {0: ZERO, 1: STREAM, 3: QUALITY}
BOTH = [ReferenceStream, CompiledStream]
VIDEOS = Path(__file__).resolve().parents[3] / "shared/data/videos"
RECORDINGS = ("vggsound_harp.mp4", "vggsound_baby_cry.mp4", "vas_drummer.mp4", "vas_cough.mp4")


def _distance(wanted: np.ndarray, found: np.ndarray) -> float:
    """Spectral convergence of magnitudes."""
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def _sound(hop: int = HOP, inversion: StreamInversion = STREAM) -> SoundSpec:
    return SoundSpec(
        analysis_rate_hz=RATE_HZ,
        playback_rate_hz=RATE_HZ,
        n_fft=N_FFT,
        hop=hop,
        n_mels=128,
        frames=1 + RATE_HZ // hop,
        floor_db=-50,
        ceiling_db=30,
        loudness_lufs=-23,
        inversion=inversion,
    )


@pytest.fixture(scope="module")
def matrices() -> MelMatrices:
    bank = librosa.filters.mel(sr=RATE_HZ, n_fft=N_FFT, n_mels=128)
    return MelMatrices(bank, np.linalg.pinv(bank, rcond=1e-6).astype(np.float32))


def _mel(samples: np.ndarray, hop: int, matrices: MelMatrices) -> np.ndarray:
    spectrum = librosa.stft(samples, n_fft=N_FFT, hop_length=hop)
    return (matrices.forward @ np.abs(spectrum) ** 2).astype(np.float32)


def _sine(frequency_hz: float, seconds: float = 2.0) -> np.ndarray:
    t_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * frequency_hz * t_s)).astype(np.float32)


def _streamed(
    power: np.ndarray,
    matrices: MelMatrices,
    inversion: StreamInversion = STREAM,
    kind: type[MelStream] = CompiledStream,
) -> np.ndarray:
    """The sound of mel power (n_mels, frames), from the first frame's centre to the last's."""
    tables = StreamTables(_sound(HOP, inversion), inversion, matrices)
    return play_once(np.ascontiguousarray(power.T), kind(tables), tables)


def _random_mel(frames: int, seed: int = 5) -> np.ndarray:
    """Lively mel power, float32 (128, frames), with silences."""
    rng = np.random.default_rng(seed)
    levels = np.cumsum(rng.normal(0, 0.5, (128, frames)), axis=1) + rng.normal(0, 1, (128, 1))
    power = np.exp(np.clip(levels, -12, 5)).astype(np.float32)
    power[:, frames // 3 : frames // 3 + 6] = 0
    return power


@pytest.mark.parametrize("look_ahead", [0, 1, 3])
@pytest.mark.parametrize("n_fft", [64, 128, 256, 1024, 2048])
def test_the_compiled_stream_agrees_with_the_reference(look_ahead: int, n_fft: int) -> None:
    """Sample by sample while few iterations have rounded; after that only the mel can agree."""
    n_mels = n_fft // 8
    inversion = StreamInversion(look_ahead_frames=look_ahead, iterations=3, updates=2)
    bank = librosa.filters.mel(sr=RATE_HZ, n_fft=n_fft, n_mels=n_mels)
    matrices = MelMatrices(bank, np.linalg.pinv(bank, rcond=1e-6).astype(np.float32))
    sound = _sound(HOP, inversion).model_copy(
        update={"n_fft": n_fft, "hop": n_fft // 4, "n_mels": n_mels}
    )
    tables = StreamTables(sound, inversion, matrices)
    noise = np.random.default_rng(n_fft).normal(0, 0.1, 20 * n_fft).astype(np.float32)
    spectrum = np.abs(librosa.stft(noise, n_fft=n_fft, hop_length=tables.hop)) ** 2
    power = np.ascontiguousarray((bank @ spectrum).T, np.float32)
    ours, theirs = (play_once(power, kind(tables), tables) for kind in BOTH)
    start = slice(0, 5 * tables.hop)
    assert np.abs(theirs[start]).max() > 0.01
    assert np.abs(ours - theirs)[start].max() < 1e-3 * np.abs(theirs[start]).max()


@pytest.mark.parametrize("inversion", [ZERO, STREAM, QUALITY], ids=["zero", "stream", "quality"])
def test_both_come_equally_close_to_a_recordings_mel(
    inversion: StreamInversion, matrices: MelMatrices, preset: Any
) -> None:
    power = _mel(preset.samples, HOP, matrices)
    distances = []
    for kind in BOTH:
        found = _mel(_streamed(power, matrices, inversion, kind), HOP, matrices)
        wanted = power[:, : found.shape[1]]
        distances.append(_distance(np.sqrt(wanted), np.sqrt(found)))
    assert distances[0] == pytest.approx(distances[1], abs=0.005)


@pytest.mark.parametrize("kind", BOTH)
def test_a_revised_frame_is_as_if_it_had_been_so_from_the_start(
    kind: type[MelStream], matrices: MelMatrices
) -> None:
    """The frame that looks ahead begins anew; what was played before stays."""
    tables = StreamTables(_sound(HOP, STREAM), STREAM, matrices)
    first, second = np.random.default_rng(1).random((2, 128), np.float32)
    outs = np.zeros((3, tables.hop), np.float32)
    plain, revised, never = (kind(tables) for _ in range(3))
    for stream, powers in ((plain, [second]), (revised, [first]), (never, [first])):
        stream.push(powers[0], outs[0])
    revised.revise(0, second)
    for stream, out in zip((plain, revised, never), outs, strict=True):
        stream.push(second, out)
    assert np.abs(outs[1]).max() > 0
    # The same magnitudes; only the first phase was found for the other mel.
    levels = np.sqrt(np.mean(outs**2, axis=1))
    assert abs(levels[1] - levels[0]) < abs(levels[2] - levels[0])


@pytest.mark.parametrize("kind", BOTH)
def test_a_restart_is_a_new_beginning(kind: type[MelStream], matrices: MelMatrices) -> None:
    tables = StreamTables(_sound(HOP, STREAM), STREAM, matrices)
    power = _random_mel(12).T.copy()
    stream = kind(tables)
    once = play_once(power, stream, tables)
    stream.push(np.full(128, np.nan, np.float32), np.empty(HOP, np.float32))
    stream.restart()
    assert np.array_equal(play_once(power, stream, tables), once)


def test_a_library_that_is_not_there_or_of_another_version_is_named(
    matrices: MelMatrices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = StreamTables(_sound(HOP, STREAM), STREAM, matrices)
    monkeypatch.setattr(compiled, "LIBRARY", tmp_path / "nowhere.so.1")
    with pytest.raises(DeviceError, match=r"nowhere\.so\.1: cannot be loaded .*make setup"):
        CompiledStream(tables)
    (tmp_path / "other.c").write_text("long long ytm_stream_bytes(void) { return 3; }")
    other = tmp_path / "other.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", other, tmp_path / "other.c"], check=True)
    monkeypatch.setattr(compiled, "LIBRARY", other)
    with pytest.raises(DeviceError, match="built from another version; install the package again"):
        CompiledStream(tables)


@pytest.mark.parametrize("look_ahead", [0, 1, 3])
@pytest.mark.parametrize("frequency_hz", [311.0, 1000.0, 3456.7])
def test_a_steady_sine_comes_out_steady(
    frequency_hz: float, look_ahead: int, matrices: MelMatrices
) -> None:
    sine = _sine(frequency_hz)
    found = _streamed(_mel(sine, HOP, matrices), matrices, LOOK_AHEADS[look_ahead])
    settled = slice(RATE_HZ // 2, -RATE_HZ // 4)
    wanted = np.sqrt(_mel(sine[settled], HOP, matrices))[:, 2:-2]
    assert _distance(wanted, np.sqrt(_mel(found[settled], HOP, matrices))[:, 2:-2]) < 0.2
    levels = np.sqrt(np.mean(found[settled][: RATE_HZ // 960 * 960].reshape(-1, 960) ** 2, axis=1))
    assert levels.max() / levels.min() < 1.3
    largest_step = 0.3 * 2 * np.pi * frequency_hz / RATE_HZ
    assert np.abs(np.diff(found[settled])).max() < 1.6 * largest_step


@pytest.mark.parametrize("look_ahead", [0, 1, 3])
def test_the_sound_is_where_the_frames_were(look_ahead: int, matrices: MelMatrices) -> None:
    """A click comes back at its own time, and nothing comes before its window."""
    samples = np.zeros(RATE_HZ // 2, np.float32)
    at = 10000
    samples[at] = 1
    found = _streamed(_mel(samples, HOP, matrices), matrices, LOOK_AHEADS[look_ahead])
    energy = found.astype(float) ** 2
    centre = np.sum(energy * np.arange(found.size)) / energy.sum()
    assert centre == pytest.approx(at, abs=N_FFT // 4)
    assert not np.any(found[: at - 2 * N_FFT])


def test_more_look_ahead_comes_closer(preset: Any, matrices: MelMatrices) -> None:
    power = _mel(preset.samples, HOP, matrices)
    distances = []
    for inversion in (ZERO, STREAM, QUALITY):
        found = _mel(_streamed(power, matrices, inversion), HOP, matrices)
        distances.append(_distance(np.sqrt(power[:, : found.shape[1]]), np.sqrt(found)))
    assert distances == sorted(distances, reverse=True)


def test_silence_is_silence_and_the_phase_survives_it(matrices: MelMatrices) -> None:
    sine = _mel(_sine(1000, 0.5), HOP, matrices)
    gap = np.zeros((128, 20), np.float32)
    found = _streamed(np.concatenate([gap, sine, gap, sine], axis=1), matrices)
    assert not np.any(found[: 15 * HOP])
    again = found[-60 * HOP : -4 * HOP]
    assert np.sqrt(np.mean(again**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


def test_the_same_frames_give_the_same_samples(matrices: MelMatrices) -> None:
    power = _random_mel(50)
    assert np.array_equal(_streamed(power, matrices), _streamed(power, matrices))


@pytest.mark.parametrize("level", [1e-5, 1e5, 1e12])
def test_loudness_changes_nothing_else(preset: Any, level: float, matrices: MelMatrices) -> None:
    power = _mel(preset.samples, HOP, matrices)[:, :60]
    plain, scaled = (_streamed(power * np.float32(each), matrices) for each in (1, level))
    mels = [np.sqrt(_mel(each, HOP, matrices)) for each in (plain, scaled / np.sqrt(level))]
    wanted = np.sqrt(power[:, : mels[0].shape[1]])
    distances = [_distance(wanted, np.asarray(mel, np.float32)) for mel in mels]
    assert distances[1] == pytest.approx(distances[0], abs=0.02)


def test_a_long_silence_wears_no_phase_out(matrices: MelMatrices) -> None:
    """Two minutes of rounding would show in the fifth digit; months must not show at all."""
    tables = StreamTables(_sound(HOP, ZERO), ZERO, matrices)
    stream, out = CompiledStream(tables), np.empty(HOP, np.float32)
    silence = np.zeros(128, np.float32)
    for _ in range(20_000):
        stream.push(silence, out)
    sizes = np.hypot(stream._state["phasor_re"], stream._state["phasor_im"])[:, : tables.bins]
    assert np.abs(sizes - 1).max() < 1e-6


def test_a_stream_takes_no_memory_while_it_plays(matrices: MelMatrices) -> None:
    tables = StreamTables(_sound(HOP, STREAM), STREAM, matrices)
    stream, power, out = CompiledStream(tables), _random_mel(60).T.copy(), np.empty(HOP, np.float32)
    for row in power:
        stream.push(row, out)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(10):
        for row in power:
            stream.push(row, out)
    grown, peak = (each - before for each in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    assert grown < 1024
    assert peak < 4096


@pytest.mark.parametrize("hop", [256, 512])
def test_a_whole_mel_has_its_own_length(hop: int, matrices: MelMatrices) -> None:
    sine = _sine(700, 1)
    power = _mel(sine, hop, matrices)
    found = stream_whole(power, _sound(hop), STREAM, matrices)
    assert found.shape == ((power.shape[1] - 1) * hop,)
    assert found.dtype == np.float32
    wanted = np.sqrt(_mel(sine[: found.size], HOP, matrices))
    assert _distance(wanted, np.sqrt(_mel(found, HOP, matrices))) < 0.2


def _recording(name: str) -> np.ndarray:
    if not VIDEOS.is_dir():
        pytest.skip("needs the recordings of ../shared/data/videos")
    with open_video(VIDEOS / name) as video:
        samples = video.sound(1.0, 3.0, RATE_HZ)
    return samples / np.abs(samples).max() * np.float32(0.5)


def _flutter_db(samples: np.ndarray, original: np.ndarray) -> float:
    """Energy of the envelope around 23.4 Hz against the original's."""
    energies = []
    for each in (original, samples):
        envelope = np.sqrt(np.mean(each[: each.size // 64 * 64].reshape(-1, 64) ** 2, axis=1))
        spectrum = np.abs(np.fft.rfft(envelope / envelope.mean() * np.hanning(envelope.size)))
        at_hz = np.fft.rfftfreq(envelope.size, 64 / RATE_HZ)
        energies.append(np.sum(spectrum[np.abs(at_hz - 23.4) < 2] ** 2))
    return float(10 * np.log10(energies[1] / energies[0]))


def _librosas(power: np.ndarray, hop: int, matrices: MelMatrices) -> np.ndarray:
    linear = np.sqrt(librosa.util.nnls(matrices.forward, power))
    return librosa.griffinlim(linear, n_iter=32, hop_length=hop, n_fft=N_FFT, random_state=0)


@pytest.mark.parametrize("hop", [256, 512])
def test_recordings_come_back_closer_than_by_librosa_offline(
    hop: int, matrices: MelMatrices
) -> None:
    """From the same mels, which librosa sees whole, 32 times; and without a flutter at 23 Hz."""
    distances, flutter_db = [], []
    for name in RECORDINGS:
        original = _recording(name)
        power = _mel(original, hop, matrices)
        ours = stream_whole(power, _sound(hop), STREAM, matrices)
        wanted = np.sqrt(_mel(original[: ours.size], HOP, matrices))
        pair = (ours, _librosas(power, hop, matrices))
        distances.append([_distance(wanted, np.sqrt(_mel(each, HOP, matrices))) for each in pair])
        flutter_db.append(_flutter_db(ours, original[: ours.size]))
    mean_ours, mean_librosas = np.mean(distances, axis=0)
    assert mean_ours <= mean_librosas
    assert np.abs(flutter_db).max() < 2
    assert abs(np.mean(flutter_db)) < 1.5


def _largest_step(samples: np.ndarray) -> float:
    return float(np.abs(np.diff(samples)).max())


def test_mels_that_arrive_all_the_time_make_no_click(matrices: MelMatrices) -> None:
    """Thirty unrelated chords a second: no step larger than inside the loudest held chord."""
    sound = _sound()
    chords = [sum(_sine(f, 1) for f in (220 * k, 277 * k)) / 4 for k in (1, 1.5, 2.1, 2.9)]
    mels = [sound.scale(_mel(chord, HOP, matrices)) for chord in chords]
    held = []
    for mel in mels:
        player = Player(sound, matrices)
        player.follow(mel)
        held.append(_largest_step(player.pull(RATE_HZ)[RATE_HZ // 4 :]))
    player = Player(sound, matrices)
    pieces = []
    for turn in range(60):
        player.follow(mels[turn % len(mels)])
        pieces.append(player.pull(RATE_HZ // 30))
    jumping = np.concatenate(pieces)[RATE_HZ // 4 :]
    assert _largest_step(jumping) < 1.5 * max(held)
    assert np.abs(jumping).max() < 1


def test_a_held_mel_has_no_seam(matrices: MelMatrices) -> None:
    sound = _sound()
    player = Player(sound, matrices)
    player.follow(sound.scale(_mel(_sine(440, 1), HOP, matrices)))
    found = player.pull(3 * RATE_HZ)[RATE_HZ // 2 :]
    levels = np.sqrt(np.mean(found[: found.size // 960 * 960].reshape(-1, 960) ** 2, axis=1))
    assert 20 * np.log10(levels.max() / levels.min()) < 3
