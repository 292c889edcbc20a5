"""Dates as people write them in any language, read by their structure.

A date is three numbers, or two and the name of a month; a time is what stands between colons. Where
a number could be either, the day comes before the month. Zones are approximate: the abbreviation
where it is known, else UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple

from ytm_training.takeout.names import (
    LONGEST_NAME_WORDS,
    PartOfDay,
    find_month,
    find_part_of_day,
    find_solar_hijri_month,
    offset_minutes,
    plain,
    words,
)

FIRST_YEAR = 2005
"""YouTube opened in it."""
LAST_YEAR = 2100
MAX_CHARACTERS = 120
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?(?:\.\d+)?(.*)", re.ASCII)
_COLONS = re.compile(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?")
_DOTS = re.compile(r"(?<![\d.])(\d{1,2})\.(\d{2})\.(\d{2})(?![\d.])")
_NAMED_OFFSET = re.compile(r"(?:utc|gmt) ?([+-]) ?(\d{1,2}):?(\d{2})?(?!\d)")
_OFFSET = re.compile(r"([+-]) ?(\d{1,2}):?(\d{2})?(?!\d)")
_DIGITS = re.compile(r"\d+")
_NUMBER = re.compile(r"(\d+)(\.?)")
_BUDDHIST_YEARS = 543
_SOLAR_HIJRI = range(1384, 1421)


class _Said(NamedTuple):
    """What the words of a date say."""

    month: int | None
    solar_hijri: bool
    part: PartOfDay | None
    zone_minutes: int


class _Day(NamedTuple):
    """What stands around a time."""

    date: tuple[int, int, int]
    clock: tuple[int, int, int]
    """From the numbers that are left, where no time was found."""
    part: PartOfDay | None
    offset_minutes: int


def read_iso(text: str) -> datetime | None:
    """Read an ISO 8601 time such as `2026-11-25T14:01:31.123Z`; in UTC, None if it is none."""
    found = _ISO.fullmatch(text.strip()) if len(text) <= MAX_CHARACTERS else None
    if found is None:
        return None
    year, month, day, hour, minute = map(int, found.groups()[:5])
    zone = re.fullmatch(r"([+-])(\d\d):?(\d\d)", found[7])
    minutes = int(zone[2]) * 60 + int(zone[3]) if zone else 0
    clock = (hour, minute, int(found[6] or 0))
    return _moment((year, month, day), clock, -minutes if zone and zone[1] == "-" else minutes)


def read_date(text: str) -> datetime | None:
    """Read a date and time in any language; in UTC, None if there is none in `text`."""
    if len(text) > MAX_CHARACTERS:
        return None
    offset, rest = _cut_offset(_NAMED_OFFSET, plain(text))
    clock, before, after = _cut_clock(rest)
    day = _day(before, after, clock is not None)
    if day is None:
        return None
    return _moment(
        day.date,
        _in_24_hours(clock or day.clock, day.part),
        day.offset_minutes if offset is None else offset,
    )


@lru_cache(maxsize=4096)
def _day(before: str, after: str, has_clock: bool) -> _Day | None:
    """Read what stands around a time; None if that is no date."""
    offset = None
    if len(_DIGITS.findall(before)) >= 2:
        offset, after = _cut_offset(_OFFSET, after)
    found = _NUMBER.findall(before + after)
    numbers = [int(digits) for digits, _ in found]
    dotted = next((dot == "." for digits, dot in found if int(digits) <= 31), False)
    beside = (words(_DIGITS.split(before)[-1]), words(_DIGITS.split(after)[0]))
    # Three numbers beside a time are a date by themselves, whatever words surround them.
    by_name = not (has_clock and len(numbers) >= 3)
    said = _said(words(before + after), *beside, by_name=by_name, dotted=dotted)
    date = _date(numbers, said)
    if date is None:
        return None
    left = (*numbers[2 if said.month else 3 :], 0, 0, 0)
    return _Day(
        date,
        (left[0], left[1], left[2]),
        said.part,
        said.zone_minutes if offset is None else offset,
    )


def _cut_clock(text: str) -> tuple[tuple[int, int, int] | None, str, str]:
    """The time of the day in `text`, and what stands before and after it."""
    found = _COLONS.search(text) or _DOTS.search(text)
    if found is None:
        return None, text, " "
    clock = (int(found[1]), int(found[2]), int(found[3] or 0))
    return clock, text[: found.start()] + " ", " " + text[found.end() :]


def _cut_offset(pattern: re.Pattern[str], text: str) -> tuple[int | None, str]:
    """Minutes ahead of UTC, if `pattern` finds them in `text`, and what is left of it."""
    found = pattern.search(text)
    if found is None:
        return None, text
    minutes = int(found[2]) * 60 + int(found[3] or 0)
    return (
        -minutes if found[1] == "-" else minutes,
        f"{text[: found.start()]} {text[found.end() :]}",
    )


def _said(
    spoken: tuple[str, ...],
    before: tuple[str, ...],
    after: tuple[str, ...],
    *,
    by_name: bool,
    dotted: bool,
) -> _Said:
    """What words mean; those directly before and after the time may say a part of the day."""
    beside = [name for name in (*_names(before), *_names(after)) if not _is_zone(name)]
    part, part_name = find_part_of_day(beside) or (None, "")
    # A month may stand beside the time, but what does not is looked at first.
    apart = sorted(set(_names(spoken)).difference(beside), key=len, reverse=True)
    names = [name for name in (*apart, *beside) if name != part_name and not _is_zone(name)]
    found = find_month(names, dotted=dotted) if by_name else None
    solar = find_solar_hijri_month(names) if by_name and found is None else None
    if by_name and found is None and solar is None:
        found = find_month(_glued(spoken), dotted=dotted)
    month, named = found or solar or (None, "")
    zone = offset_minutes(word for word in spoken if word != named)
    return _Said(month, solar is not None, part, zone or 0)


def _is_zone(name: str) -> bool:
    return offset_minutes([name]) is not None


def _names(spoken: tuple[str, ...]) -> Iterator[str]:
    """Joined neighbours, the longest first: names such as `p. m.` are several words."""
    for length in range(LONGEST_NAME_WORDS, 0, -1):
        for start in range(len(spoken) - length + 1):
            yield "".join(spoken[start : start + length])


def _glued(spoken: tuple[str, ...]) -> list[str]:
    """Words without a preposition that is written with them, as in Hebrew."""
    return [word[cut:] for word in spoken for cut in (1, 2) if len(word) - cut >= 3]


def _date(numbers: list[int], said: _Said) -> tuple[int, int, int] | None:
    if said.month is not None and len(numbers) >= 2:
        first, second = numbers[:2]
        year, day = (first, second) if first > 31 else (second, first)
        month = said.month
    elif len(numbers) >= 3:
        year, month, day = _numeric(*numbers[:3])
    else:
        return None
    if year < 100:
        year += 2000
    if year in _SOLAR_HIJRI:
        return _from_solar_hijri(year, month, day)
    if said.solar_hijri:
        return None
    return (year - _BUDDHIST_YEARS if year > LAST_YEAR else year), month, day


def _numeric(first: int, second: int, third: int) -> tuple[int, int, int]:
    if first > 31:
        return first, second, third
    if second > 12:
        return third, first, second
    return third, second, first


def _from_solar_hijri(year: int, month: int, day: int) -> tuple[int, int, int] | None:
    """Convert by the 33-year cycle of leap years, right from 1799 to 2256 (Jalaali arithmetic)."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    years = year - 979
    days = 365 * years + years // 33 * 8 + (years % 33 + 3) // 4 + day - 1
    days += 31 * (month - 1) if month <= 7 else 186 + 30 * (month - 7)
    found = datetime(1600, 3, 20, tzinfo=timezone.utc) + timedelta(days)
    return found.year, found.month, found.day


def _in_24_hours(clock: tuple[int, int, int], part: PartOfDay | None) -> tuple[int, int, int]:
    hour, minute, second = clock
    if part is not None and hour <= 12:
        late = part == "afternoon" or (part == "night" and 6 <= hour < 12)
        hour = hour % 12 + (12 if late else 0)
    return hour, minute, second


def _moment(
    date: tuple[int, int, int], clock: tuple[int, int, int], minutes: int
) -> datetime | None:
    if not FIRST_YEAR <= date[0] <= LAST_YEAR:
        return None
    try:
        local = datetime(*date, *clock, tzinfo=timezone.utc)
    except ValueError:
        return None
    return local - timedelta(minutes=minutes)
