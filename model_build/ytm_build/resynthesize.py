"""`ytm-resynthesize`: what the way from sound to mel and back does to a recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import soundfile
import typer

from ytm_build.resynthesis import METHODS, Figures, holding, measure, mel_of, resynthesise
from ytm_bundle.bundle import MelMatrices, open_bundle
from ytm_bundle.errors import MediaError, UsageError
from ytm_bundle.files import replacing
from ytm_bundle.manifest import SoundSpec
from ytm_device.console import command, say
from ytm_device.sound.limiter import limited
from ytm_device.sound.settings import CEILING_DBFS
from ytm_training.learn.config import SoundSettings, preset
from ytm_training.learn.hearing import sound_spec, source_gain_db
from ytm_training.learn.showing import mel_matrices
from ytm_training.media import open_video

Array = npt.NDArray[np.float32]

MAX_S = 300
MIN_S = 0.5
SILENT = 1e-6
"""Peak below this: nothing that 16 bits can hold."""


def _resynthesize(
    recording: Annotated[Path, typer.Argument(metavar="IN", help="Any file with sound.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The WAV to write.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Analyse and scale as this bundle does.")
    ] = None,
    preset_name: Annotated[
        str | None, typer.Option("--preset", help="Analyse as this preset; else continuous.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="stream, quality, zero, paper or librosa.")
    ] = "stream",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Turn a recording into a mel spectrogram and back, and measure what was lost."""
    if method not in METHODS:
        raise UsageError(f"--method {method}: unknown; choose one of {', '.join(METHODS)}")
    if out.suffix.lower() != ".wav":
        raise UsageError(f"{out}: give a name that ends in .wav")
    if out.exists() and recording.exists() and out.samefile(recording):
        raise UsageError(f"{out}: is the recording itself; give another name")
    if bundle and preset_name:
        raise UsageError(f"--preset {preset_name}: not with --bundle, which says it all; leave one")
    settings = preset(preset_name or "continuous").sound
    if bundle:
        with open_bundle(bundle) as opened:
            sound, matrices = opened.manifest.sound, opened.mel_matrices()
        settings = _like(settings, sound)
        original = _read(recording, settings)
    else:
        original = _read(recording, settings)
        sound, matrices = _fitted(original, settings)
    power = mel_of(original, sound, matrices, sound.hop)
    heard = resynthesise(sound.unscale(sound.scale(power)), sound, matrices, method)
    figures = measure(original, heard, sound, matrices)
    rate_hz = sound.analysis_rate_hz
    _write(out, limited(heard, rate_hz, CEILING_DBFS), rate_hz)
    if as_json:
        print(json.dumps({"out": str(out), "method": method, **vars(figures)}))
    else:
        say(f"{out}: {method}, {_told(figures)}")


def _like(settings: SoundSettings, sound: SoundSpec) -> SoundSettings:
    """What of a bundle's sound decides how a recording is read.

    Raises:
        UsageError: the bundle's sound cannot be streamed.
    """
    if obstacle := sound.why_not_streamed():
        raise UsageError(f"--bundle: {obstacle}; use another bundle")
    same = {"analysis_rate_hz": sound.analysis_rate_hz, "loudness_lufs": sound.loudness_lufs}
    return settings.model_copy(update=same)


def _fitted(original: Array, settings: SoundSettings) -> tuple[SoundSpec, MelMatrices]:
    """The sound of a preset, scaled in dB so that all of this recording fits."""
    sound = sound_spec(settings, np.ones(1, np.float32))
    matrices = mel_matrices(sound)
    return holding(sound, mel_of(original, sound, matrices, settings.hop)), matrices


def _read(recording: Path, settings: SoundSettings) -> Array:
    """The recording, mono, at the loudness that every sound is learned at.

    Raises:
        MediaError: it cannot be decoded, is silent, too short or too long.
    """
    with open_video(recording) as opened:
        samples = opened.whole_sound(settings.analysis_rate_hz, MAX_S)
    seconds = samples.size / settings.analysis_rate_hz
    if seconds < MIN_S:
        raise MediaError(f"{recording}: {seconds:.2f} s of sound; give at least {MIN_S} s")
    if not np.isfinite(samples).all():
        raise MediaError(f"{recording}: holds samples that are not finite; export it again")
    if np.abs(samples).max() < SILENT:
        raise MediaError(f"{recording}: is silent; give a recording with sound in it")
    gain_db = source_gain_db([samples], settings.analysis_rate_hz, settings)
    return np.asarray(samples * 10 ** (gain_db / 20), np.float32)


def _write(out: Path, samples: Array, rate_hz: int) -> None:
    try:
        with replacing(out) as temporary:
            soundfile.write(temporary, samples, rate_hz, subtype="PCM_16")
    except (OSError, soundfile.LibsndfileError) as error:
        raise UsageError(f"{out}: cannot be written ({error}); choose another place") from error


def _told(figures: Figures) -> str:
    return (
        f"{figures.seconds:.1f} s; spectral convergence {figures.spectral_convergence:.3f},"
        f" log-spectral distance {figures.log_spectral_distance_db:.1f} dB;"
        f" against the recording, the envelope has {figures.hop_modulation_db:+.1f} dB at the hop"
        f" rate ({figures.hop_rate_hz:.1f} Hz) and {figures.grain_modulation_db:+.1f} dB at the"
        f" artwork's grain rate ({figures.grain_rate_hz:.1f} Hz)"
    )


main = command(_resynthesize)
