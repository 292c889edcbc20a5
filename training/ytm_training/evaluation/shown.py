"""Pictures, spectrograms and sounds as data URIs, so that a page needs nothing but itself."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.signal import resample_poly

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.manifest import SoundSpec
from ytm_training.learn.showing import heard

Array = npt.NDArray[np.float32]

PLAYED_HZ = 24000
"""Sampling rate of the sounds on a page: half of a mirror's, to keep the page small."""
_SECONDS = 1
_JPEG_QUALITY = 88
# Colours of silence and of the loudest, with those between: dark blue, violet, orange, white.
_COLOURS = np.array([[8, 10, 34], [92, 30, 120], [214, 70, 80], [252, 190, 90], [255, 252, 230]])


def picture_uri(picture: npt.NDArray[np.uint8]) -> str:
    """A picture (h, w, 3) as JPEG."""
    return _image_uri(Image.fromarray(picture), "JPEG", quality=_JPEG_QUALITY)


def spectrogram_uri(mel: Array) -> str:
    """A scaled mel (n_mels, frames), low bands at the bottom, as a PNG of 256 colours."""
    levels = np.rint(np.clip(mel[::-1], 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(levels).convert("P")
    places = np.linspace(0, 255, len(_COLOURS))
    palette = np.stack([np.interp(np.arange(256), places, part) for part in _COLOURS.T], 1)
    image.putpalette(np.rint(palette).astype(np.uint8).ravel().tolist())
    return _image_uri(image, "PNG", optimize=True)


def sound_uri(mel: Array, sound: SoundSpec, matrices: MelMatrices) -> str:
    """What the mirror plays for a scaled mel, (n_mels, frames), as WAV."""
    samples = heard(mel, sound, matrices, _SECONDS)
    divisor = int(np.gcd(PLAYED_HZ, sound.playback_rate_hz))
    played = resample_poly(samples, PLAYED_HZ // divisor, sound.playback_rate_hz // divisor)
    pcm = np.rint(np.clip(played, -1, 1) * 32767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(PLAYED_HZ)
        file.writeframes(pcm.tobytes())
    return _uri("audio/wav", buffer.getvalue())


def _image_uri(image: Image.Image, form: str, **settings: object) -> str:
    buffer = io.BytesIO()
    image.save(buffer, form, **settings)
    return _uri(f"image/{form.lower()}", buffer.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
