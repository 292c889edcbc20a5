"""A sound that takes its whole processor gives up real-time priority, and says why."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from waiting import wait_for
from ytm_device.sound import realtime
from ytm_device.sound.loop import AudioLoop
from ytm_device.sound.realtime import GREEDY_WINDOWS, MOST_SHARE, Appetite, urgent_thread
from ytm_device.sound.sink import ClockedNullSink

RATE_HZ = 48000


class Hungry:
    """Stands where the player would: silence that takes some share of the time it lasts."""

    sounding = None

    def __init__(self, share: float) -> None:
        self.share = share

    def fill(self, out: np.ndarray) -> None:
        until_s = time.thread_time() + self.share * out.size / RATE_HZ
        while time.thread_time() < until_s:
            pass
        out[:] = 0


def _may_be_urgent() -> bool:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(urgent_thread()))
    thread.start()
    thread.join()
    return found[0]


def test_only_what_goes_on_being_too_much_counts() -> None:
    appetite = Appetite(RATE_HZ)
    for share in (2.0, 0.1) * 10:
        assert not appetite.made(RATE_HZ, share)
    for _ in range(GREEDY_WINDOWS - 1):
        assert not appetite.made(RATE_HZ, MOST_SHARE + 0.1)
    assert appetite.made(RATE_HZ, MOST_SHARE + 0.1)
    assert appetite.share == pytest.approx(MOST_SHARE + 0.1)


@pytest.mark.skipif(not _may_be_urgent(), reason="needs the right to real-time priority")
def test_the_priority_is_given_up_by_a_hungry_sound_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(realtime, "WINDOW_S", 0.05)
    modest: Any = Hungry(0.05)
    with AudioLoop(modest, ClockedNullSink(RATE_HZ)) as loop:
        wait_for(lambda: loop.samples > RATE_HZ // 2)
        assert loop.urgent
        assert loop.why_not_urgent is None
    hungry: Any = Hungry(1.5)
    with AudioLoop(hungry, ClockedNullSink(RATE_HZ)) as loop:
        wait_for(lambda: loop.why_not_urgent)
        assert not loop.urgent
        assert "% of its processor" in str(loop.why_not_urgent)
        played = loop.samples
        wait_for(lambda: loop.samples > played)
    assert loop.failure is None
