"""Whoever publishes at the address of the reflections, whatever it says, the replay goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from hostility import KINDS, bad_messages, reflection, speaking
from installation import Installation, installed
from planting import planted
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_device.bus import wire
from ytm_device.bus.channel import Publisher
from ytm_device.options import SCREEN, SOUND
from ytm_device.run_dirs import endpoint

LISTENERS = (SOUND, SCREEN)
EACH_S = float(os.environ.get("YTM_BUS_S", "2"))
"""How long each kind of message is sent."""
RATE_HZ = 200
FLOOD = 500
"""Messages between two pauses of a flood."""
GROWTH_KIB = 8 << 10


@pytest.fixture(scope="module")
def installation(
    folder: Path, bundle: Path, ball: Path, card_library: Path, environment: Mapping[str, str]
) -> Iterator[Installation]:
    """Without its reflect: others speak in its place."""
    with installed(folder, bundle, ball, card_library, environment, services=LISTENERS) as running:
        yield running


@pytest.fixture(scope="module")
def opened(bundle: Path) -> Iterator[Bundle]:
    with open_bundle(bundle) as opened:
        yield opened


SHOWN_NEVER = set(KINDS) - {"flipped bits"}
"""Some flipped bits leave a good message."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_message_changes_nothing(
    installation: Installation, opened: Bundle, kind: str
) -> None:
    messages = bad_messages(opened, kind)
    with planted(installation, f"messages {kind}") as fault:
        with speaking(installation.run_dir) as publisher:
            until_s = time.monotonic() + EACH_S
            while time.monotonic() < until_s:
                publisher.send(next(messages))
                time.sleep(1 / RATE_HZ)
            for service in LISTENERS:
                status = installation.wait_status(service)
                if kind in SHOWN_NEVER:
                    assert (status["mode"], status["reflection_age_ms"]) == ("replay", None)
                # One that is oversized or in the past is not even a message, or long over.
                if kind not in ("oversized", "from the past"):
                    assert status["rejected_messages"] + status["foreign_reflections"] > 0
        listen_again(installation, opened)
        fault.recovered()


def listen_again(installation: Installation, opened: Bundle) -> None:
    """A good reflection is seen and heard, and when there are no more, the replay."""
    with Publisher(endpoint(installation.run_dir)) as publisher:
        for service in LISTENERS:
            installation.wait_status(
                service, meanwhile=lambda: publisher.publish(reflection(opened)), mode="mirror"
            )
    for service in LISTENERS:
        installation.wait_status(service, mode="replay")


def test_a_flood_costs_neither_memory_nor_time(installation: Installation, opened: Bundle) -> None:
    good = wire.encode(reflection(opened))
    before = {name: installation.wait_status(name)["memory_kib"] for name in LISTENERS}
    with planted(installation, "messages in a flood") as fault:
        with speaking(installation.run_dir) as publisher:
            until_s = time.monotonic() + 2 * EACH_S
            while time.monotonic() < until_s:
                for _ in range(FLOOD):
                    publisher.send(good)
                time.sleep(0.001)
        after = {name: installation.wait_status(name)["memory_kib"] for name in LISTENERS}
        listen_again(installation, opened)
        fault.recovered()
    for name in LISTENERS:
        assert after[name] - before[name] <= GROWTH_KIB


def test_the_loudest_message_is_no_louder_than_the_ceiling(
    installation: Installation, opened: Bundle
) -> None:
    shape = opened.manifest.sound.mel_shape
    loud = [np.full(shape, level, np.float32) for level in (1.0, 1e3, 3e38, -3e38)]
    with planted(installation, "messages too loud") as fault:
        with Publisher(endpoint(installation.run_dir)) as publisher:
            until_s = time.monotonic() + 2 * EACH_S
            while time.monotonic() < until_s:
                for mel in loud:
                    publisher.publish(reflection(opened, mel=mel, moved_ns=time.monotonic_ns()))
                    time.sleep(0.05)
        fault.recovered()
