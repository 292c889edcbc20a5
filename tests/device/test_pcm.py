"""The sound card's edge, through the real libasound: PCMs defined in a configuration file.

libasound reads its configuration once in a process, so every such test runs in one of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytm_bundle.errors import DeviceError
from ytm_device.sound import pcm
from ytm_device.sound.alsa import STOPPED, Granted
from ytm_device.sound.pcm import FULL_SCALE, AlsaSink, Quantiser, check_granted
from ytm_device.sound.sink import PERIOD

HANG_S = 60
CONFIGURATION = """
pcm.nothing {{ type null }}
pcm.recorded {{ type file slave.pcm nothing file "{folder}/recorded.raw" format raw }}
"""
Child = Callable[[str], dict[str, object]]


def _run(code: str, configuration: Path) -> dict[str, object]:
    """Run `code`, which fills the dict `said`, where `configuration` is all that ALSA knows."""
    script = (
        "import json, time\n"
        "import numpy as np\n"
        "from ytm_bundle.errors import DeviceError\n"
        "from ytm_device.sound.pcm import AlsaSink, find_card\n"
        f"said = {{}}\n{textwrap.dedent(code)}\nprint(json.dumps(said))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"ALSA_CONFIG_PATH": str(configuration)},
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def files(tmp_path: Path) -> Child:
    """Runs code where the PCMs are `nothing` and `recorded`, which nothing paces."""
    configuration = tmp_path / "asound.conf"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path))
    return lambda code: _run(code, configuration)


@pytest.fixture
def cards(paced_cards: Path) -> Child:
    """Runs code where there is a paced card of 48 kHz, one of 44.1 kHz, and it as `default`.

    `card8` takes 8 bits only.
    """
    with paced_cards.open("a") as configuration:
        configuration.write('pcm.card8 { type paced file "/dev/zero" refuse "/" }\n')
    return lambda code: _run(code, paced_cards)


WRITE_NOISE = """
noise = np.random.default_rng(3).uniform(-1, 1, 40 * sink.period).astype(np.float32)
for piece in noise.reshape(-1, sink.period):
    sink.write(piece)
keys = ("rate_hz", "channels", "period", "underruns", "bridged", "guard")
said |= {key: getattr(sink, key) for key in keys}
sink.close()
"""


def _noise(period: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(-1, 1, 40 * period).astype(np.float32)


def _found(heard: np.ndarray, periods: np.ndarray) -> int:
    """How many of `periods` (n, period) are in `heard`, in their order."""
    found = first = 0
    for period in periods * FULL_SCALE:
        begins = np.lib.stride_tricks.sliding_window_view(heard[first:], 8) - period[:8]
        near = np.flatnonzero(np.abs(begins).max(axis=1) <= 1.5)
        if near.size:
            at = first + int(near[0])
            piece = heard[at : at + period.size]
            assert np.abs(piece - period[: piece.size]).max() <= 1.5
            first, found = at + period.size, found + 1
    return found


def _quantised(samples: np.ndarray, ceiling_dbfs: float = 0) -> np.ndarray:
    return Quantiser(samples.size, 1, ceiling_dbfs)(samples)[:, 0]


@given(value=st.floats(-1, 1, width=32))
def test_dither_moves_a_sample_by_less_than_two_steps(value: float) -> None:
    samples = np.full(200, value, np.float32)
    steps = _quantised(samples)
    assert np.all(np.abs(steps - np.clip(samples * FULL_SCALE, -32767, 32767)) <= 1.5)


@given(value=st.floats(-1, 1, width=32), ceiling_dbfs=st.floats(-20, 0))
def test_no_sample_is_louder_than_the_ceiling(value: float, ceiling_dbfs: float) -> None:
    steps = _quantised(np.full(200, value, np.float32), ceiling_dbfs).astype(float)
    assert np.abs(steps).max() <= FULL_SCALE * 10 ** (ceiling_dbfs / 20)


def test_dither_keeps_what_is_softer_than_a_step() -> None:
    """A tone of a third of a step would round to silence; its average survives in the noise."""
    tone = np.sin(2 * np.pi * np.arange(1 << 16) / 64).astype(np.float32)
    steps = _quantised(tone / 3 / FULL_SCALE).astype(np.float64)
    assert np.mean(steps * tone) / np.mean(tone**2) == pytest.approx(1 / 3, abs=0.03)
    assert np.var(steps - tone / 3) == pytest.approx(0.25, rel=0.05)


def test_no_memory_is_asked_for_between_periods() -> None:
    quantise, samples = Quantiser(4096, 2), np.zeros(4096, np.float32)
    quantise(samples)
    tracemalloc.start()
    try:
        for _ in range(20):
            quantise(samples)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < samples.nbytes


def test_what_is_written_arrives_in_both_channels(files: Child, tmp_path: Path) -> None:
    said = files('sink = AlsaSink("recorded", 48000)' + WRITE_NOISE)
    assert (said["rate_hz"], said["channels"], said["underruns"]) == (48000, 2, 0)
    heard = np.fromfile(tmp_path / "recorded.raw", "<i2").reshape(-1, 2)
    expected = _noise(int(str(said["period"]))) * FULL_SCALE
    assert heard.shape == (expected.size, 2)
    assert np.array_equal(heard[:, 0], heard[:, 1])
    assert np.abs(heard[:, 0] - expected).max() <= 1.5


def test_a_paced_card_hears_everything_at_its_own_pace(cards: Child, tmp_path: Path) -> None:
    said = cards(
        """
        sink = AlsaSink("card", 48000)
        started_s = time.monotonic()
        """
        + textwrap.indent(WRITE_NOISE, " " * 8)
        + """
        said["elapsed_s"] = time.monotonic() - started_s
        """
    )
    heard = np.fromfile(tmp_path / "card.raw", "<i2").reshape(-1, 2)[:, 0]
    changed = int(str(said["underruns"])) + int(str(said["bridged"]))
    assert _found(heard, _noise(256).reshape(-1, 256)) >= 40 - changed
    assert changed or heard.size == 40 * 256
    # Closing waits until all was heard, so it cannot take less than the samples last.
    assert float(str(said["elapsed_s"])) >= 40 * 256 / 48000


def test_after_an_underrun_the_period_is_written_again_and_fades_in(
    cards: Child, tmp_path: Path
) -> None:
    said = cards(
        """
        sink = AlsaSink("card", 48000)
        period = np.full(sink.period, 0.5, np.float32)
        for _ in range(60):
            sink.write(period)
        time.sleep(2 * (sink.buffer + sink.guard) / sink.rate_hz)
        before = sink.underruns
        sink.write(period)
        said["caused"] = sink.underruns - before
        for _ in range(19):
            sink.write(period)
        sink.close()
        """
    )
    assert int(str(said["caused"])) >= 1
    heard = np.fromfile(tmp_path / "card.raw", "<i2").reshape(-1, 2)[:, 0].astype(int)
    # Running dry and beginning again are as soft as each other, and nothing else is soft.
    silent = np.flatnonzero(np.abs(heard) <= 2)
    assert silent.size > 0
    assert np.abs(np.diff(heard)).max() <= 0.5 * FULL_SCALE * np.pi / 2 / 256 + 4
    assert heard.max() == pytest.approx(0.5 * FULL_SCALE, abs=2)


@pytest.mark.parametrize("periods", [2, 3, 8])
def test_the_buffer_has_the_periods_asked_for(cards: Child, periods: int) -> None:
    said = cards(
        f"""
        sink = AlsaSink("card", 48000, periods={periods})
        said |= {{"period": sink.period, "buffer": sink.buffer}}
        sink.close()
        """
    )
    assert said == {"period": 256, "buffer": periods * 256}


class _SuspendedPcm:
    """A PCM that the board's sleep has suspended: it takes samples again once prepared."""

    def __init__(self, _name: str) -> None:
        self.suspended, self.written = True, 0

    def configure(self, _rate_hz: int, _period: int, _buffer: int) -> Granted:
        return GRANTED

    def prepare(self) -> None:
        self.suspended = False

    def write(self, _address: int, frames: int) -> int:
        if self.suspended:
            return STOPPED[1]
        self.written += frames
        return frames

    def close(self) -> None:
        pass


def test_a_suspended_card_goes_on_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcm, "Pcm", _SuspendedPcm)
    sink = AlsaSink("card", 48000)
    sink.write(np.zeros(sink.period, np.float32))
    suspended = sink._pcm
    assert isinstance(suspended, _SuspendedPcm)
    assert (sink.underruns, suspended.written) == (1, PERIOD)


def test_default_converts_for_a_card_of_another_rate(cards: Child, tmp_path: Path) -> None:
    said = cards('said["card"] = find_card()\nsink = AlsaSink("default", 48000)' + WRITE_NOISE)
    assert said["card"] == "default"
    assert said["rate_hz"] == 48000
    heard = np.fromfile(tmp_path / "card44.raw", "<i2")
    expected = 40 * int(str(said["period"])) * 44100 / 48000
    assert heard.size == pytest.approx(expected, abs=2 * 300)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("card44", "card44: grants rate 44100, the bundle's sound needs 48000; use `default`"),
        ("card8", "card8: takes no interleaved S16_LE, which is what is played; use `default`"),
        ("nobody", "nobody: cannot be opened for playback (No such file or directory); choose"),
    ],
)
def test_what_cannot_play_says_why(cards: Child, name: str, complaint: str) -> None:
    said = cards(
        f"""
        try:
            AlsaSink({name!r}, 48000)
        except DeviceError as error:
            said["complaint"] = str(error)
        """
    )
    assert complaint in str(said["complaint"])


def test_no_card_is_found_where_there_is_none(files: Child) -> None:
    assert files('said["card"] = find_card()') == {"card": None}


GRANTED = Granted(48000, 2, PERIOD, 4 * PERIOD, in_lumps=False)


@pytest.mark.parametrize("other", [{"channels": 1}, {"channels": 8}, {"buffer": 2 * PERIOD}])
def test_any_sensible_grant_is_taken(other: dict[str, int]) -> None:
    check_granted("hw:9", 48000, replace(GRANTED, **other))


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("rate_hz", 44100, "hw:9: grants rate 44100, the bundle's sound needs 48000; use"),
        ("channels", 9, "hw:9: grants channels 9, 1 to 8 can be played on; use"),
        ("channels", 0, "hw:9: grants channels 0, 1 to 8 can be played on; use"),
        ("buffer", 511, "hw:9: grants a buffer of 511 for a period of 256, .* 512 or more"),
        ("period", 0, "hw:9: grants a period of 0"),
    ],
)
def test_what_cannot_be_played_on_is_refused(key: str, value: int, complaint: str) -> None:
    with pytest.raises(DeviceError, match=complaint):
        check_granted("hw:9", 48000, replace(GRANTED, **{key: value}))


def test_a_pcm_that_keeps_no_time_is_paced_by_the_clock(files: Child) -> None:
    said = files(
        """
        sink = AlsaSink("nothing", 48000)
        started_s = time.monotonic()
        while time.monotonic() - started_s < 1.5:
            sink.write(np.zeros(sink.period, np.float32))
            said["taken"] = said.get("taken", 0) + sink.period
        said["elapsed_s"] = time.monotonic() - started_s
        sink.close()
        """
    )
    ahead = int(str(said["taken"])) - 48000 * float(str(said["elapsed_s"]))
    assert ahead <= 48000 * 1.1
