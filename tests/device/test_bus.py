"""Reflections cross the bus unchanged, newest first, and what does not fit is counted."""

from __future__ import annotations

import struct
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from ytm_bundle.errors import DeviceError
from ytm_device.bus import wire
from ytm_device.bus.channel import Publisher, Subscriber
from ytm_device.frame import Reflection

HANG_S = 20.0
POLL = threading.Event()


def reflection(sequence: int = 0, height: int = 4, width: int = 6) -> Reflection:
    rng = np.random.default_rng(sequence)
    return Reflection(
        image=rng.integers(0, 256, (height, width, 3), np.uint8),
        mel=rng.random((5, 7), np.float32),
        presence=True,
        presence_since_ns=12,
        taken_ns=34,
        sequence=sequence,
        bundle_id="ab" * 32,
        moved_ns=30,
    )


def same(one: Reflection, other: Reflection) -> bool:
    arrays = np.array_equal(one.image, other.image) and np.array_equal(one.mel, other.mel)
    blank = {"image": None, "mel": None}
    return arrays and replace(one, **blank) == replace(other, **blank)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 2**63),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_decode_undoes_encode(height, width, sequence, presence, at_ns, identity):
    sent = replace(
        reflection(0, height, width),
        sequence=sequence,
        presence=presence,
        taken_ns=at_ns,
        moved_ns=at_ns // 3,
        bundle_id=identity.hex(),
    )
    message = wire.encode(sent)
    assert same(wire.decode(message), sent)
    assert wire.encode(wire.decode(message)) == message


@given(st.data())
def test_a_damaged_message_is_refused_or_still_fits(data):
    message = bytearray(wire.encode(reflection()))
    at = data.draw(st.integers(0, wire.HEADER_BYTES - 1))
    message[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded = wire.decode(bytes(message))
    except wire.WireError:
        return
    assert decoded.image.size + decoded.mel.nbytes == len(message) - wire.HEADER_BYTES


@given(st.binary(max_size=200))
def test_noise_is_not_a_reflection(noise):
    with pytest.raises(wire.WireError):
        wire.decode(noise)


def test_every_cut_is_noticed():
    message = wire.encode(reflection())
    for length in range(len(message)):
        with pytest.raises(wire.WireError):
            wire.decode(message[:length])
    with pytest.raises(wire.WireError):
        wire.decode(message + b"\0")


def test_sizes_are_bounded_before_anything_is_read():
    message = bytearray(wire.encode(reflection()))
    struct.pack_into("<HHHH", message, wire.HEADER_BYTES - 10, 65535, 65535, 5, 7)
    with pytest.raises(wire.WireError, match="larger than"):
        wire.decode(bytes(message))


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": np.zeros((4, 4, 3), np.float32)},
        {"image": np.zeros((4, 4), np.uint8)},
        {"image": np.zeros((0, 4, 3), np.uint8)},
        {"image": np.zeros((4, 2000, 3), np.uint8)},
        {"mel": np.zeros((4, 4), np.float64)},
        {"mel": np.zeros((4, 0), np.float32)},
        {"mel": np.zeros(4, np.float32)},
        {"bundle_id": "ab"},
        {"bundle_id": "no hexadecimal"},
    ],
)
def test_what_is_not_a_reflection_is_not_sent(wrong):
    with pytest.raises(wire.WireError):
        wire.encode(replace(reflection(), **wrong))


def test_a_mel_that_is_not_finite_is_refused():
    mel = np.full((5, 7), np.nan, np.float32)
    message = wire.encode(replace(reflection(), mel=mel))
    with pytest.raises(wire.WireError, match="finite"):
        wire.decode(message)


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/bus"


def deliver(publisher: Publisher, subscriber: Subscriber, sequence: int) -> None:
    """Publish until the subscriber, which connects in its own time, has seen it."""
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        publisher.publish(reflection(sequence))
        got = subscriber.newest()
        if got is not None and got.sequence == sequence:
            assert same(got, reflection(sequence))
            return
        POLL.wait(0.005)
    pytest.fail(f"reflection {sequence} did not arrive in {HANG_S} s")


def test_publisher_first(endpoint):
    with Publisher(endpoint) as publisher, Subscriber(endpoint) as subscriber:
        deliver(publisher, subscriber, 1)


def test_subscriber_first(endpoint):
    with Subscriber(endpoint) as subscriber:
        assert subscriber.newest() is None
        with Publisher(endpoint) as publisher:
            deliver(publisher, subscriber, 1)


def test_either_side_may_restart(endpoint):
    with Subscriber(endpoint) as first:
        with Publisher(endpoint) as publisher:
            deliver(publisher, first, 1)
        with Publisher(endpoint) as publisher:
            deliver(publisher, first, 2)
            with Subscriber(endpoint) as second:
                deliver(publisher, second, 3)
                deliver(publisher, first, 4)


def test_only_the_newest_is_kept(endpoint):
    with Publisher(endpoint) as publisher, Subscriber(endpoint) as subscriber:
        deliver(publisher, subscriber, 0)
        for sequence in range(1, 200):
            publisher.publish(reflection(sequence))
        seen = []
        deadline = time.monotonic() + HANG_S
        while 199 not in seen and time.monotonic() < deadline:
            got = subscriber.newest()
            if got is not None:
                seen.append(got.sequence)
            POLL.wait(0.005)
        assert seen[-1] == 199
        assert len(seen) < 100
        assert subscriber.newest() is None


def test_what_does_not_fit_is_counted_and_ignored(endpoint):
    with zmq.Context() as context, context.socket(zmq.PUB) as stranger:
        stranger.setsockopt(zmq.LINGER, 0)
        stranger.bind(endpoint)
        with Subscriber(endpoint) as subscriber:
            deadline = time.monotonic() + HANG_S
            while not subscriber.rejected and time.monotonic() < deadline:
                stranger.send(b"hello")
                assert subscriber.newest() is None
                POLL.wait(0.005)
            assert subscriber.rejected == 1


@pytest.mark.parametrize("channel", [Publisher, Subscriber])
def test_an_address_that_cannot_work_is_named(channel):
    with pytest.raises(DeviceError, match="nonsense"):
        channel("nonsense")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DeviceError, match="missing"):
        Publisher(f"ipc://{tmp_path}/missing/bus")
