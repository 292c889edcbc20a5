"""Something else in front of the mirror is something else to hear, and soon.

How soon is printed. Only a hang fails: how long things take is the machine's affair.
"""

from __future__ import annotations

from pathlib import Path

from sound_latency import CHANGES, measure, with_card
from ytm_device.sound.sink import PERIODS

TARGET_MS = 50
HANG_MS = 5 * TARGET_MS


def test_every_change_is_heard(
    card_library: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    measured = measure(with_card(tmp_path, card_library, environment), tmp_path, PERIODS)
    print(f"\nfrom the bus to the ear, with {PERIODS} periods: {measured.figures()}")
    assert measured.published == CHANGES
    assert len(measured.changes) == CHANGES
    assert max(change.latency_ms for change in measured.changes) <= HANG_MS
