"""Every stage has a budget, every budget a stage, and what is over it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from ytm_bundle.errors import UsageError
from ytm_device.benchmark.budgets import BUDGETS, SHARED, read_budgets
from ytm_device.benchmark.stages import PARTS, STAGE_NAMES, STAGES, Times, percentiles_ms

TEXT = BUDGETS.read_text(encoding="utf-8")


def test_every_stage_has_a_budget_and_every_budget_a_stage() -> None:
    assert tuple(read_budgets(BUDGETS)) == STAGE_NAMES
    assert len(set(STAGE_NAMES)) == len(STAGE_NAMES)
    assert {stage.part for stage in STAGES} == {*PARTS, "all"}


def test_a_share_is_of_how_long_the_sound_lasts() -> None:
    budgets = read_budgets(BUDGETS)
    assert [name for name, budget in budgets.items() if budget.is_share] == list(SHARED)
    assert budgets["invert"].ms(5.33) == pytest.approx(5.33)
    assert budgets["presence"].ms(None) == budgets["presence"].most


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("= 3", "not TOML"),
        ("\xff", "not TOML"),
        ("a = " + "[" * 20_000, "not TOML"),
        ("#" * 70_000, "larger than 65536 bytes"),
        (TEXT + '"taste" = { p95_ms = 1 }\n', "taste: no such stage; there are camera read,"),
        (TEXT.replace('"encode"', "#"), "encode: no budget; give each stage one"),
        (TEXT.replace("{ p95_ms = 4 }", "4", 1), "presence = 4: give one of p50_ms, p95_ms"),
        (TEXT.replace("{ p95_ms = 4 }", "{ p95_share = 4 }", 1), "give one of p50_ms"),
        (TEXT.replace("{ p95_ms = 4 }", "{ p95_ms = 4, p50_ms = 1 }", 1), "give one of"),
        (TEXT.replace("{ p95_ms = 4 }", "{ p95_ms = true }", 1), "give a number above 0"),
        (TEXT.replace("{ p95_ms = 4 }", "{ p95_ms = nan }", 1), "give a number above 0"),
        (TEXT.replace("{ p95_ms = 4 }", "{ p95_ms = 0 }", 1), "p95_ms = 0: give a number above 0"),
        (TEXT.replace("{ p99_share = 1 }", "{ p99_share = inf }", 1), "give a number above 0"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_key_and_value(
    text: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "budgets.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"budgets\.toml") as raised:
        read_budgets(path)
    assert words in str(raised.value)


def test_percentiles_are_durations_that_were_measured() -> None:
    ms = percentiles_ms([n * 1_000_000 for n in range(1, 101)])
    assert ms == {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert set(percentiles_ms([7]).values()) == {7e-6}


def test_a_clock_that_disagrees_makes_no_duration_negative() -> None:
    times = Times()
    times.add("camera read", -5)
    with times.of("encode"):
        pass
    assert times.ns["camera read"] == [1]
    assert times.ns["encode"][0] >= 1
