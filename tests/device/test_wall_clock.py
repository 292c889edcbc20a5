from __future__ import annotations

import ctypes
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytm_device import wall_clock
from ytm_device.wall_clock import Hours, clock_is_set, is_open

TIMES = st.times()


@pytest.mark.parametrize(
    ("state", "status", "is_set"),
    [
        (0, 0x2001, True),
        (1, 0x2011, True),
        (5, 0x0040, False),
        (5, 0x1000, False),
        (0, 0x2041, False),
        (-1, 0, False),
    ],
)
def test_the_clock_is_set_if_the_kernel_says_so(
    monkeypatch: pytest.MonkeyPatch, state: int, status: int, is_set: bool
) -> None:
    monkeypatch.setattr(wall_clock, "_kernel_clock", lambda: (state, status))
    assert clock_is_set() is is_set


def test_the_kernel_answers_with_a_state_and_status_that_agree() -> None:
    state, status = wall_clock._kernel_clock()
    if state == -1:
        pytest.skip("this machine's sandbox refuses adjtimex")
    assert 0 <= state <= 5
    assert 0 <= status < 1 << 16
    if status & 0x0040:
        assert state == 5


def test_without_the_call_the_clock_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert clock_is_set() is False


def test_hours_are_read() -> None:
    assert Hours.parse("22:00-08:30") == Hours(time(22, 0), time(8, 30))
    assert Hours.parse("00:00-23:59") == Hours(time(0, 0), time(23, 59))


@given(TIMES, TIMES)
def test_hours_written_are_read_again(start: time, end: time) -> None:
    start, end = start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)
    text = f"{start:%H:%M}-{end:%H:%M}"
    if start == end:
        with pytest.raises(ValueError, match=f"{text}: starts when it ends; give two different"):
            Hours.parse(text)
    else:
        assert Hours.parse(text) == Hours(start, end)


@pytest.mark.parametrize(
    "text",
    ["", "-", "22:00", "22-08", "22:00-24:00", "22:00-08:60", "22:00-08:00-09:00", "10pm-8am"],
)
def test_other_hours_are_refused_with_the_value_and_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}': no hours .* as 22:00-08:00"):
        Hours.parse(text)


@pytest.mark.parametrize(
    ("text", "now", "held"),
    [
        ("10:00-18:00", time(9, 59, 59), False),
        ("10:00-18:00", time(10, 0), True),
        ("10:00-18:00", time(17, 59, 59, 999999), True),
        ("10:00-18:00", time(18, 0), False),
        ("22:00-08:00", time(21, 59), False),
        ("22:00-08:00", time(22, 0), True),
        ("22:00-08:00", time(0, 0), True),
        ("22:00-08:00", time(7, 59), True),
        ("22:00-08:00", time(8, 0), False),
        ("22:00-00:00", time(23, 59), True),
        ("22:00-00:00", time(0, 0), False),
    ],
)
def test_hours_hold_from_start_to_before_end(text: str, now: time, held: bool) -> None:
    assert Hours.parse(text).holds(now) is held


@given(TIMES, TIMES, TIMES)
def test_hours_and_their_opposite_share_the_day(start: time, end: time, now: time) -> None:
    if start != end:
        assert Hours(start, end).holds(now) is not Hours(end, start).holds(now)


@pytest.mark.parametrize(
    ("text", "now", "clock_set", "expected"),
    [
        (None, time(3, 0), True, True),
        ("10:00-18:00", time(12, 0), True, True),
        ("10:00-18:00", time(9, 59), True, False),
        ("10:00-18:00", time(18, 0), True, False),
        ("10:00-18:00", time(3, 0), False, True),
        ("18:00-02:00", time(1, 59), True, True),
        ("18:00-02:00", time(2, 0), True, False),
    ],
)
def test_it_is_open_in_its_hours_and_always_while_nobody_knows_the_time(
    monkeypatch: pytest.MonkeyPatch, text: str | None, now: time, clock_set: bool, expected: bool
) -> None:
    monkeypatch.setattr(wall_clock, "local_time", lambda: now)
    monkeypatch.setattr(wall_clock, "clock_is_set", lambda: clock_set)
    assert is_open(None if text is None else Hours.parse(text)) is expected
