"""The streaming inverter compiled: `ReferenceStream` in C. The only module that loads kernel.c."""

from __future__ import annotations

import ctypes
import math
from pathlib import Path

import numpy as np

from ytm_bundle.errors import DeviceError
from ytm_device.sound.streaming import tables
from ytm_device.sound.streaming.tables import Array, StreamTables

LIBRARY = Path(__file__).with_name("kernel.so.1")
"""Built with the package, for every processor of this architecture. The suffix is none that Python
would take for a module of its own."""
_VECTOR = 16
"""Floats in the widest vector; rows are whole vectors."""
_TWO_PI = 2 * math.pi

_INTEGERS = "n_fft hop bins row frames span n_mels updates iterations"
_FLOATS = "momentum rise lead floor tiny slope delay whole"
_ARRAYS = (
    "first last offset weights cover inverse window synthesis gain turn root_re root_im"
    " mel start phasor_re phasor_im spectrum_re spectrum_im before_re before_im power"
    " log_before log_now reached along_re along_im across_re across_im"
    " band ratio bins_a bins_b past signal x_re x_im y_re y_im"
)


class _Struct(ctypes.Structure):
    """`stream_t` of kernel.c, field by field."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in _INTEGERS.split()),
        *((name, ctypes.c_float) for name in _FLOATS.split()),
        *((name, ctypes.c_void_p) for name in _ARRAYS.split()),
    ]


class CompiledStream:
    """Does what `ReferenceStream` does, several times faster and without allocating anything.

    Every array that the C code reads and writes belongs to this object.
    """

    def __init__(self, shared: StreamTables) -> None:
        """Begin in silence.

        Raises:
            DeviceError: the compiled library is missing or does not fit this code.
        """
        library = _load()
        self._push, self._revise = library.ytm_stream_push, library.ytm_stream_revise
        self._n_mels, self._hop, self._look_ahead = shared.n_mels, shared.hop, shared.look_ahead
        self._first = _state(shared)
        self._state = {name: array.copy() for name, array in self._first.items()}
        self._constants = _constants(shared)
        arrays = self._constants | self._state
        self._struct = _Struct(
            **_numbers(shared),
            **{name: arrays[name].ctypes.data for name in _ARRAYS.split()},
        )
        self._at = ctypes.byref(self._struct)

    def revise(self, frame: int, power: Array) -> None:
        """See `ReferenceStream.revise`."""
        assert 0 <= frame < self._look_ahead
        self._revise(self._at, frame, _address(power, self._n_mels))

    def push(self, power: Array, out: Array) -> None:
        """See `ReferenceStream.push`."""
        self._push(self._at, _address(power, self._n_mels), _address(out, self._hop))

    def restart(self) -> None:
        """See `ReferenceStream.restart`."""
        for name, array in self._state.items():
            array[:] = self._first[name]


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        raise DeviceError(
            f"{LIBRARY}: cannot be loaded ({error}); install the package again (make setup)"
        ) from error
    library.ytm_stream_bytes.restype = ctypes.c_int64
    if library.ytm_stream_bytes() != ctypes.sizeof(_Struct):
        raise DeviceError(
            f"{LIBRARY}: built from another version; install the package again (make setup)"
        )
    for name in ("ytm_stream_push", "ytm_stream_revise"):
        getattr(library, name).restype = None
    library.ytm_stream_push.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    library.ytm_stream_revise.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p]
    return library


def _address(array: Array, length: int) -> int:
    """Where a float32 array begins, checked, since C would not notice."""
    assert array.dtype == np.float32
    assert array.size == length
    assert array.flags.c_contiguous
    return array.ctypes.data


def _row(bins: int) -> int:
    return -(-bins // _VECTOR) * _VECTOR


def _numbers(shared: StreamTables) -> dict[str, int | float]:
    return {
        "n_fft": shared.n_fft,
        "hop": shared.hop,
        "bins": shared.bins,
        "row": _row(shared.bins),
        "frames": shared.frames,
        "span": shared.span,
        "n_mels": shared.n_mels,
        "updates": shared.updates,
        "iterations": shared.iterations,
        "momentum": tables.MOMENTUM,
        "rise": tables.RISE,
        "lead": tables.LEAD,
        "floor": tables.FLOOR,
        "tiny": tables.TINY,
        # In turns, as the C code counts angles.
        "slope": 1 / (2 * tables.GAMMA * tables.OVERLAP) / _TWO_PI,
        "delay": tables.GAMMA * tables.OVERLAP / 2 / _TWO_PI,
        "whole": 1 / shared.whole,
    }


def _constants(shared: StreamTables) -> dict[str, np.ndarray]:
    """Arrays that stay as they are."""
    n_fft, row = shared.n_fft, _row(shared.bins)
    bands = [np.flatnonzero(band) for band in shared.forward]
    first = [int(band[0]) if band.size else 0 for band in bands]
    last = [int(band[-1]) + 1 if band.size else 0 for band in bands]
    roots = np.exp(-1j * _TWO_PI * np.outer([1, 2, 3], np.arange(n_fft // 4)) / n_fft)
    inverse = np.zeros((shared.n_mels, row), np.float32)
    inverse[:, : shared.bins] = shared.inverse.T
    cover = np.ones(row, np.float32)
    cover[: shared.bins] = 1 / (shared.forward.sum(axis=0) + np.float32(1e-12))
    turn = np.zeros(row, np.float32)
    turn[: shared.bins] = np.arange(shared.bins) % tables.OVERLAP / tables.OVERLAP
    weights = [band[a:b] for band, a, b in zip(shared.forward, first, last, strict=True)]
    arrays = {
        "weights": np.concatenate(weights),
        "cover": cover,
        "inverse": inverse,
        "window": shared.window,
        "synthesis": shared.window / n_fft,
        "gain": shared.gain,
        "turn": turn,
        "root_re": roots.real,
        "root_im": roots.imag,
    }
    indices = {
        "first": first,
        "last": last,
        "offset": np.cumsum([0, *(b - a for a, b in zip(first, last, strict=True))])[:-1],
    }
    return {name: np.ascontiguousarray(each, np.float32) for name, each in arrays.items()} | {
        name: np.ascontiguousarray(each, np.int32) for name, each in indices.items()
    }


def _state(shared: StreamTables) -> dict[str, np.ndarray]:
    """Arrays that change with every hop, and scratch, as they begin."""
    row, frames = _row(shared.bins), shared.frames
    shapes: dict[str, tuple[int, ...]] = {
        "start phasor_re phasor_im spectrum_re spectrum_im before_re before_im power": (
            frames,
            row,
        ),
        "log_before log_now reached along_re along_im across_re across_im bins_a bins_b": (row,),
        "mel": (frames, shared.n_mels),
        "band ratio": (shared.n_mels,),
        "past signal": (shared.span,),
        "x_re x_im y_re y_im": (shared.n_fft,),
    }
    arrays = {
        name: np.zeros(shape, np.float32)
        for names, shape in shapes.items()
        for name in names.split()
    }
    phasors = shared.first_phasors()
    arrays["phasor_re"][:, : shared.bins] = phasors.real
    arrays["phasor_im"][:, : shared.bins] = phasors.imag
    arrays["log_before"][:] = math.log(tables.FLOOR)
    return arrays
