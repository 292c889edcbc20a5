"""Dates in every language."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from babel import Locale, localedata
from babel.dates import format_datetime
from hypothesis import given
from hypothesis import strategies as st

from ytm_training.takeout.dates import read_date, read_iso
from ytm_training.takeout.names import COMMON_LANGUAGES

MOMENTS = [
    datetime(2026, 11, 25, 14, 1, 31, tzinfo=timezone.utc),
    datetime(2026, 3, 5, 0, 31, 2, tzinfo=timezone.utc),
    datetime(2025, 7, 30, 12, 0, 9, tzinfo=timezone.utc),
    datetime(2024, 10, 13, 23, 0, 9, tzinfo=timezone.utc),
]


@pytest.mark.parametrize("language", COMMON_LANGUAGES)
def test_what_cldr_writes_is_read_back(language: str) -> None:
    """In the medium form, which an export has; every month, morning and afternoon."""
    locale = Locale.parse(language)
    every = [datetime(2026, month, 25, 15, 4, 5, tzinfo=timezone.utc) for month in range(1, 13)]
    wrong = {
        text: read_date(text)
        for moment in MOMENTS + every
        if read_date(text := format_datetime(moment, "medium", locale=locale)) != moment
    }
    assert wrong == {}


def test_nearly_everything_that_cldr_writes_in_any_region_is_read_back() -> None:
    """Those that fail have no data of their own, or a script that nobody's account is in."""
    regions = [name for name in localedata.locale_identifiers() if name.count("_") == 1][::3]
    right = [
        read_date(format_datetime(moment, "medium", locale=name)) == moment
        for name in regions
        for moment in MOMENTS
    ]
    assert sum(right) / len(right) > 0.88


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("Nov 25, 2026, 2:01:31\u202fPM UTC", "2026-11-25 14:01:31"),
        ("Sept 5, 2025, 12:04:05 a.m. EDT", "2025-09-05 04:04:05"),
        ("Apr 19, 2026, 8:31:30 AM GMT+05:30", "2026-04-19 03:01:30"),
        ("11/25/2026, 2:01:31 PM", "2026-11-25 14:01:31"),
        ("25.11.2026, 14:01:31 MEZ", "2026-11-25 13:01:31"),
        ("25.11.2026 klo 14.01.31", "2026-11-25 14:01:31"),
        ("25. lis 2026. 14:01:31 CET", "2026-10-25 13:01:31"),
        ("25 lis 2026, 14:01:31 CET", "2026-11-25 13:01:31"),
        ("2026. nov. 25. 14:01:31 CET", "2026-11-25 13:01:31"),
        ("25 juill. 2026, 14 h 01 min 31 s", "2026-07-25 14:01:31"),
        ("2026年11月25日 14:01:31 CST", "2026-11-25 06:01:31"),
        ("Nov 25, 2026, 2:01:31 PM CST", "2026-11-25 20:01:31"),
        ("2026年3月5日 凌晨12:31:02", "2026-03-05 00:31:02"),
        ("2026. 11. 25. 오후 2:01:31 KST", "2026-11-25 05:01:31"),
        ("٢٥‏/١١‏/٢٠٢٦، ٢:٠١:٣١ م غرينتش+3", "2026-11-25 11:01:31"),
        ("۴ آذر ۱۴۰۵،‏ ۱۴:۰۱:۳۱ (‎+۳:۳۰ گرینویچ)", "2026-11-25 10:31:31"),
        ("۳۰ اسفند ۱۴۰۳،‏ ۰:۰۰:۰۰", "2025-03-20 00:00:00"),
        ("25 בנוב׳ 2026, 14:01:31 IST", "2026-11-25 12:01:31"),
        ("25 नव॰ 2026, 2:01:31 pm IST", "2026-11-25 08:31:31"),
        ("25 พ.ย. 2569 14:01:31 GMT+7", "2026-11-25 07:01:31"),
        ("14:01:31 GMT+7, 25 thg 11, 2026", "2026-11-25 07:01:31"),
        ("25 Kas 2026 14:01:31 GMT\u221203:00", "2026-11-25 17:01:31"),
        ("2026-11-25 14:01", "2026-11-25 14:01:00"),
    ],
)
def test_known_dates(text: str, utc: str) -> None:
    assert read_date(text) == datetime.fromisoformat(f"{utc}+00:00")


@pytest.mark.parametrize(
    "text",
    ["", "11:39", "Watched at 11:39 AM", "Nov 25", "32 Nov 2026", "25 Nov 1999, 1:00", "0" * 5000,
     "2026-02-30 00:00", "9" * 100, "9" * 100 + "-1-1", "25 Nov 2026, 99:00", "\0", "+" * 100],
)  # fmt: skip
def test_what_is_no_date(text: str) -> None:
    assert read_date(text) is None


@given(st.text(max_size=130) | st.text(alphabet="0123456789:.-/+ APMنوم年月日Z,", max_size=60))
def test_no_text_makes_it_fail(text: str) -> None:
    for found in (read_date(text), read_iso(text)):
        assert found is None or found.tzinfo is timezone.utc


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-25T14:01:31.123Z", "2026-11-25 14:01:31"),
        ("2026-11-25T14:01:31Z", "2026-11-25 14:01:31"),
        ("2026-11-25T14:01:31.1234567Z", "2026-11-25 14:01:31"),
        ("2026-11-25T14:01:31+05:30", "2026-11-25 08:31:31"),
        ("2026-11-25 14:01", "2026-11-25 14:01:00"),
    ],
)
def test_iso_times(text: str, utc: str) -> None:
    assert read_iso(text) == datetime.fromisoformat(f"{utc}+00:00")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "0000-00-00T00:00:00Z"])
def test_what_is_no_iso_time(text: str) -> None:
    assert read_iso(text) is None
