"""libasound, as far as playing needs it. The only module that calls its PCMs."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ytm_bundle.errors import CardGoneError, DeviceError
from ytm_device.owner import Owner

_LIBRARY = "libasound.so.2"
_asound = ctypes.CDLL(_LIBRARY)
# These return at once. Python's other thread does not get its turn meanwhile: other sound has to
# be in the place of what was taken back before the card comes to it.
_at_once = ctypes.PyDLL(_LIBRARY)

_PLAYBACK, _NONBLOCK = 0, 1
"""Of snd_pcm_open."""
_INTERLEAVED, _S16_LE, _NEAREST = 3, 2, 0
"""Of snd_pcm_hw_params."""
_DISCONNECTED = 8
"""Of snd_pcm_state."""
STOPPED = (-errno.EPIPE, -errno.ESTRPIPE)
"""What `Pcm` gives where the card has run dry, or the board's sleep has suspended it."""
CONVERTING = "use `default` or a `plughw:` name, which convert"
_CHANNELS = 2
_Number = ctypes.c_uint | ctypes.c_ulong


def _declare() -> None:
    """Say which results and arguments are wider than an int."""
    handle, frames, signed = ctypes.c_void_p, ctypes.c_ulong, ctypes.c_long
    for library in (_asound, _at_once):
        library.snd_pcm_avail.argtypes = (handle,)
        library.snd_pcm_avail.restype = signed
        library.snd_pcm_rewindable.argtypes = (handle,)
        library.snd_pcm_rewindable.restype = signed
        library.snd_pcm_rewind.argtypes = (handle, frames)
        library.snd_pcm_rewind.restype = signed
        library.snd_pcm_writei.argtypes = (handle, ctypes.c_void_p, frames)
        library.snd_pcm_writei.restype = signed
        library.snd_pcm_state.argtypes = (handle,)
    _asound.snd_pcm_wait.argtypes = (handle, ctypes.c_int)
    _asound.snd_strerror.restype = ctypes.c_char_p
    _asound.snd_ctl_card_info_get_id.restype = ctypes.c_char_p
    # What it gives is the caller's to free, so it must stay a pointer.
    _asound.snd_device_name_get_hint.restype = ctypes.c_void_p


_declare()

# Of the handler's arguments, only those before the variable ones can be declared.
_IGNORE = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)(lambda *_: None)


@contextmanager
def hushed() -> Iterator[None]:
    """Keep libasound from complaining on stderr, for what is tried again and again."""
    _asound.snd_lib_error_set_handler(_IGNORE)
    try:
        yield
    finally:
        _asound.snd_lib_error_set_handler(None)


@dataclass(frozen=True)
class Granted:
    """What a PCM takes, where it could not take what was asked for."""

    rate_hz: int
    channels: int
    period: int
    """Frames."""
    buffer: int
    """Frames."""
    in_lumps: bool
    """It says only once a period how far it has played."""


class Pcm(Owner):
    """A PCM that plays 16 bits, interleaved; a frame is one sample for each channel."""

    def __init__(self, name: str) -> None:
        """Open the PCM `name`, as `aplay -L` lists it.

        Raises:
            DeviceError: there is none, or it is in use.
        """
        self.name = name
        self._buffer = 0
        self._handle = ctypes.c_void_p()
        # A card that is in use would otherwise be waited for, however long.
        result = _asound.snd_pcm_open(
            ctypes.byref(self._handle), name.encode(), _PLAYBACK, _NONBLOCK
        )
        if result < 0:
            raise self._refused(result)
        self.let_wait(True)

    def configure(self, rate_hz: int, period: int, buffer: int) -> Granted:
        """Ask for two channels at `rate_hz`, and for so many frames; it is then ready to play.

        Raises:
            DeviceError: it does not play 16 bits at all.
        """
        params = ctypes.c_void_p()
        _asound.snd_pcm_hw_params_malloc(ctypes.byref(params))
        try:
            _asound.snd_pcm_hw_params_any(self._handle, params)
            for key, value in (("access", _INTERLEAVED), ("format", _S16_LE)):
                setter = getattr(_asound, f"snd_pcm_hw_params_set_{key}")
                if setter(self._handle, params, value) < 0:
                    raise DeviceError(
                        f"{self.name}: takes no interleaved S16_LE, which is what is played;"
                        f" {CONVERTING}"
                    )
            rate, channels = ctypes.c_uint(rate_hz), ctypes.c_uint(_CHANNELS)
            frames, room = ctypes.c_ulong(period), ctypes.c_ulong(buffer)
            self._set_near(params, "channels", channels)
            self._set_near(params, "rate", rate)
            self._set_near(params, "period_size", frames)
            self._set_near(params, "buffer_size", room)
            self._require(_asound.snd_pcm_hw_params(self._handle, params))
            in_lumps = bool(_asound.snd_pcm_hw_params_is_batch(params))
        finally:
            _asound.snd_pcm_hw_params_free(params)
        self._buffer = room.value
        return Granted(rate.value, channels.value, frames.value, room.value, in_lumps)

    def pace(self, *, wake_at: int, start_at: int, runs_on: bool) -> None:
        """Let `wait` end when there is room for `wake_at` frames, and start with `start_at`.

        Args:
            wake_at: frames.
            start_at: frames.
            runs_on: where nothing more is written it does not stop, but goes on with what lies in
                its buffer, each frame once, and then with silence; `room` is then more than the
                buffer.

        Raises:
            DeviceError: it refuses.
        """
        params, boundary = ctypes.c_void_p(), ctypes.c_ulong()
        _asound.snd_pcm_sw_params_malloc(ctypes.byref(params))
        try:
            self._require(_asound.snd_pcm_sw_params_current(self._handle, params))
            self._require(_asound.snd_pcm_sw_params_get_boundary(params, ctypes.byref(boundary)))
            for key, value in (
                ("avail_min", wake_at),
                ("start_threshold", start_at),
                ("stop_threshold", boundary.value if runs_on else self._buffer),
                ("silence_threshold", 0),
                # As much as there is no end to: what was played is silence at once.
                ("silence_size", boundary.value if runs_on else 0),
            ):
                setter = getattr(_asound, f"snd_pcm_sw_params_set_{key}")
                self._require(setter(self._handle, params, ctypes.c_ulong(value)))
            self._require(_asound.snd_pcm_sw_params(self._handle, params))
        finally:
            _asound.snd_pcm_sw_params_free(params)

    def let_wait(self, may_wait: bool) -> None:
        """Whether `write` and `drain` may wait for the card, as they do unless told otherwise."""
        _asound.snd_pcm_nonblock(self._handle, 0 if may_wait else _NONBLOCK)

    def write(self, address: int, frames: int) -> int:
        """Give it the frames at `address`; waits until there is room for the last of them.

        Returns:
            How many it took, which is all of them where it may wait; one of `STOPPED`.

        Raises:
            CardGoneError: its device is gone or broken.
        """
        taken = _asound.snd_pcm_writei(self._handle, address, frames)
        return self._checked(0 if taken == -errno.EAGAIN else taken)

    def wait(self, timeout_ms: int) -> int:
        """Wait for room; 1, 0 after `timeout_ms`, or one of `STOPPED`. Raises as `write`."""
        return self._checked(_asound.snd_pcm_wait(self._handle, timeout_ms))

    def room(self) -> int:
        """Frames that it would take at once; or one of `STOPPED`. Raises as `write`.

        More than its buffer where it runs on, and has played on past what was written.
        """
        return self._checked(_at_once.snd_pcm_avail(self._handle))

    def rewindable(self) -> int:
        """Frames that could be taken back, as it says; negative where it cannot say."""
        return int(_at_once.snd_pcm_rewindable(self._handle))

    def rewind(self, frames: int) -> int:
        """Take back what was written last; how many frames it says it gave back.

        Returns:
            Negative where it refuses.
        """
        return int(_at_once.snd_pcm_rewind(self._handle, frames))

    def delay(self) -> int:
        """Frames until one that is written next would be heard; or negative."""
        frames = ctypes.c_long()
        result = int(_asound.snd_pcm_delay(self._handle, ctypes.byref(frames)))
        return frames.value if result == 0 else result

    def prepare(self) -> None:
        """Let it begin anew, after it had stopped. Raises as `write`."""
        self._checked(_asound.snd_pcm_prepare(self._handle))

    def drop(self) -> None:
        """Be silent at once."""
        _asound.snd_pcm_drop(self._handle)

    def drain(self) -> None:
        """Wait until everything was heard."""
        _asound.snd_pcm_drain(self._handle)

    def close(self) -> None:
        """Release the device."""
        _asound.snd_pcm_close(self._handle)

    def _set_near(
        self, params: ctypes.c_void_p, key: str, wanted: ctypes._SimpleCData[int]
    ) -> None:
        setter = getattr(_asound, f"snd_pcm_hw_params_set_{key}_near")
        direction = ctypes.c_int(_NEAREST)
        more = () if key in ("channels", "buffer_size") else (ctypes.byref(direction),)
        self._require(setter(self._handle, params, ctypes.byref(wanted), *more))

    def _checked(self, result: int) -> int:
        if result < 0 and result not in STOPPED:
            raise self.gone(_said(result))
        if _at_once.snd_pcm_state(self._handle) == _DISCONNECTED:
            raise self.gone(_said(-errno.ENODEV))
        return result

    def gone(self, why: str) -> CardGoneError:
        """What to raise where it cannot be played on any more."""
        return CardGoneError(
            f"{self.name}: takes no more samples ({why}); check that it is plugged in"
        )

    def _require(self, result: int) -> None:
        if result < 0:
            raise self._refused(result)

    def _refused(self, result: int) -> DeviceError:
        return DeviceError(
            f"{self.name}: cannot be opened for playback ({_said(result)});"
            " choose one that `aplay -L` lists"
        )


def _said(result: int) -> str:
    return bytes(_asound.snd_strerror(result)).decode(errors="replace")


def card_ids() -> list[str]:
    """The sound cards of this machine, such as `PCH`."""
    found = []
    number, info = ctypes.c_int(-1), ctypes.c_void_p()
    _asound.snd_ctl_card_info_malloc(ctypes.byref(info))
    while _asound.snd_card_next(ctypes.byref(number)) == 0 and number.value >= 0:
        control = ctypes.c_void_p()
        if _asound.snd_ctl_open(ctypes.byref(control), b"hw:%d" % number.value, 0) < 0:
            continue
        if _asound.snd_ctl_card_info(control, info) == 0:
            found.append(_asound.snd_ctl_card_info_get_id(info).decode())
        _asound.snd_ctl_close(control)
    _asound.snd_ctl_card_info_free(info)
    return found


def playback_names() -> list[str]:
    """The PCMs that can play, as `aplay -L` lists them."""
    hints = ctypes.POINTER(ctypes.c_void_p)()
    if _asound.snd_device_name_hint(-1, b"pcm", ctypes.byref(hints)) < 0:
        return []
    found, index = [], 0
    while hints[index]:
        hint = ctypes.c_void_p(hints[index])
        if _hint(hint, b"IOID") in (None, "Output"):
            found.append(_hint(hint, b"NAME"))
        index += 1
    _asound.snd_device_name_free_hint(hints)
    return [name for name in found if name is not None]


def _hint(hint: ctypes.c_void_p, key: bytes) -> str | None:
    address = _asound.snd_device_name_get_hint(hint, key)
    if address is None:
        return None
    text = ctypes.string_at(address).decode(errors="replace")
    _libc.free(ctypes.c_void_p(address))
    return text


_libc = ctypes.CDLL(None)
