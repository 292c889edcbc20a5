"""Whoever publishes at the address of the reflections, whatever it says, the replay goes on."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zmq

from installation import Installation, installed
from planting import planted
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_device.bus import wire
from ytm_device.bus.channel import Publisher
from ytm_device.frame import Reflection
from ytm_device.options import SCREEN, SOUND
from ytm_device.run_dirs import endpoint

LISTENERS = (SOUND, SCREEN)
EACH_S = float(os.environ.get("YTM_BUS_S", "2"))
"""How long each kind of message is sent."""
RATE_HZ = 200
FLOOD = 500
"""Messages between two pauses of a flood."""
GROWTH_KIB = 8 << 10
SEED = 3


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


def reflection(bundle: Bundle, **changes: object) -> Reflection:
    """A good one, but for `changes`."""
    replay = bundle.replay()
    good = Reflection(
        image=np.array(replay.images[0]),
        mel=np.array(replay.mels[0], np.float32),
        presence=True,
        presence_since_ns=1,
        taken_ns=time.monotonic_ns(),
        sequence=0,
        bundle_id=bundle.id,
    )
    return replace(good, **changes)  # type: ignore[arg-type]


def patched(message: bytes, offset: int, value: bytes) -> bytes:
    return message[:offset] + value + message[offset + len(value) :]


def bad_messages(bundle: Bundle, kind: str) -> Iterator[bytes]:
    """Messages of one kind, for ever."""
    chance = np.random.default_rng(SEED)
    while True:
        good = wire.encode(reflection(bundle))
        if kind == "random bytes":
            yield chance.bytes(int(chance.integers(0, 20_000)))
        elif kind == "truncated":
            yield good[: int(chance.integers(0, len(good)))]
        elif kind == "too long":
            yield good + bytes(int(chance.integers(1, 1000)))
        elif kind == "oversized":
            yield bytes(wire.MAX_MESSAGE_BYTES + 1)
        elif kind == "of another bundle":
            yield wire.encode(reflection(bundle, bundle_id="ab" * wire.ID_BYTES))
        elif kind == "of another version":
            yield patched(good, len(wire.MAGIC), bytes([wire.VERSION + 1]))
        elif kind == "not a number":
            yield patched(good, wire.HEADER_BYTES, struct.pack("<f", np.nan))
        elif kind == "of other sizes":
            yield wire.encode(
                reflection(bundle, image=np.zeros((5, 7, 3), np.uint8), mel=np.zeros((3, 4), "<f4"))
            )
        elif kind == "from the future":
            yield wire.encode(reflection(bundle, taken_ns=time.monotonic_ns() + 10**15))
        elif kind == "from the past":
            yield wire.encode(reflection(bundle, taken_ns=-(2**62), presence_since_ns=-(2**62)))
        else:
            assert kind == "flipped bits"
            at = int(chance.integers(0, wire.HEADER_BYTES))
            yield patched(good, at, chance.bytes(1))


KINDS = (
    "random bytes",
    "truncated",
    "too long",
    "oversized",
    "of another bundle",
    "of another version",
    "not a number",
    "of other sizes",
    "from the future",
    "from the past",
    "flipped bits",
)
SHOWN_NEVER = set(KINDS) - {"flipped bits"}
"""Some flipped bits leave a good message."""


@contextmanager
def speaking(run_dir: Path) -> Iterator[zmq.Socket[bytes]]:
    """A publisher that may say anything."""
    context = zmq.Context()
    publisher = context.socket(zmq.PUB)
    publisher.setsockopt(zmq.LINGER, 0)
    publisher.bind(endpoint(run_dir))
    try:
        yield publisher
    finally:
        context.destroy(linger=0)


def ignored(installation: Installation, service: str) -> int:
    status = installation.wait_status(service)
    return int(status["rejected_messages"] + status["foreign_reflections"])


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
