"""One reflection as one message: a fixed header, then the arrays. Never pickle.

All numbers are little-endian. The mel comes before the picture so that its floats are aligned.
"""

from __future__ import annotations

import struct

import numpy as np

from ytm_device.frame import Reflection

MAGIC = b"YTMR"
VERSION = 2
MAX_SIDE = 1024
MAX_MELS = 512
MAX_FRAMES = 4096
ID_BYTES = 32
# magic, version, presence, bundle id, sequence, taken_ns, presence_since_ns, moved_ns, picture
# height and width, mel bands and frames, padding to a multiple of four
_HEADER = struct.Struct(f"<4sBB{ID_BYTES}sQqqqHHHH2x")
HEADER_BYTES = _HEADER.size
_MEL_TYPE = np.dtype("<f4")
MAX_MESSAGE_BYTES = HEADER_BYTES + MAX_SIDE**2 * 3 + MAX_MELS * MAX_FRAMES * _MEL_TYPE.itemsize


class WireError(Exception):
    """A message or a reflection does not fit the format; whoever receives it counts it."""


def encode(reflection: Reflection) -> bytes:
    """Make the message of `reflection`.

    Raises:
        WireError: an array has another type or shape than `Reflection` says, or is too large.
    """
    image, mel = reflection.image, reflection.mel
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise WireError(f"image is {image.dtype} {image.shape}, expected uint8 (h, w, 3)")
    if mel.dtype != np.float32 or mel.ndim != 2:
        raise WireError(f"mel is {mel.dtype} {mel.shape}, expected float32 (n_mels, frames)")
    height, width, _ = image.shape
    _check_sizes(height, width, *mel.shape)
    header = _HEADER.pack(
        MAGIC,
        VERSION,
        reflection.presence,
        _packed_id(reflection.bundle_id),
        reflection.sequence,
        reflection.taken_ns,
        reflection.presence_since_ns,
        reflection.moved_ns,
        height,
        width,
        *mel.shape,
    )
    return header + mel.astype(_MEL_TYPE, copy=False).tobytes() + image.tobytes()


def decode(message: bytes) -> Reflection:
    """Read a message back. The arrays are views into `message` and cannot be written.

    Raises:
        WireError: it is not a reflection, of another version, cut short or not finite.
    """
    if len(message) < HEADER_BYTES:
        raise WireError(f"{len(message)} bytes, fewer than the header's {HEADER_BYTES}")
    magic, version, presence, identity, sequence, *rest = _HEADER.unpack_from(message)
    taken_ns, since_ns, moved_ns, height, width, n_mels, frames = rest
    if magic != MAGIC or version != VERSION or presence > 1:
        raise WireError(f"begins with {message[:6]!r}, not {MAGIC!r} version {VERSION}")
    _check_sizes(height, width, n_mels, frames)
    mel_bytes = n_mels * frames * _MEL_TYPE.itemsize
    if len(message) != HEADER_BYTES + mel_bytes + height * width * 3:
        raise WireError(f"{len(message)} bytes do not hold what its header says")
    mel = np.frombuffer(message, _MEL_TYPE, n_mels * frames, HEADER_BYTES)
    if not np.isfinite(mel).all():
        raise WireError("its mel holds values that are not finite")
    image = np.frombuffer(message, np.uint8, height * width * 3, HEADER_BYTES + mel_bytes)
    return Reflection(
        image=image.reshape(height, width, 3),
        mel=mel.reshape(n_mels, frames).astype(np.float32, copy=False),
        presence=bool(presence),
        presence_since_ns=since_ns,
        taken_ns=taken_ns,
        sequence=sequence,
        bundle_id=identity.hex(),
        moved_ns=moved_ns,
    )


def _check_sizes(height: int, width: int, n_mels: int, frames: int) -> None:
    picture = 0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE
    if not (picture and 0 < n_mels <= MAX_MELS and 0 < frames <= MAX_FRAMES):
        raise WireError(
            f"picture {height}x{width} or mel {n_mels}x{frames} is empty or larger than"
            f" {MAX_SIDE}x{MAX_SIDE} and {MAX_MELS}x{MAX_FRAMES}"
        )


def _packed_id(identity: str) -> bytes:
    try:
        packed = bytes.fromhex(identity)
    except ValueError as error:
        raise WireError(f"bundle id {identity!r} is not hexadecimal") from error
    if len(packed) != ID_BYTES:
        raise WireError(f"bundle id {identity!r} is not the hexadecimal of {ID_BYTES} bytes")
    return packed
