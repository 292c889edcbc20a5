"""Frozen and damaged pictures are told from good ones before they are decoded."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ytm_device.camera.watching import PictureWatch, is_whole
from ytm_device.gstreamer import RawBuffer

NS = 1_000_000_000


def raw(data: bytes, media: str = "video/x-raw") -> RawBuffer:
    return RawBuffer(media, len(data), lambda offset, length: data[offset : offset + length])


def noise(seed: int, size: int = 640 * 480 * 2) -> bytes:
    return np.random.default_rng(seed).bytes(size)


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    ok, data = cv2.imencode(
        ".jpg", np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    )
    assert ok
    return data.tobytes()


def test_the_first_picture_goes_on_only_after_another_one():
    watch = PictureWatch()
    assert not watch.judge(raw(noise(0)), 0)
    assert watch.judge(raw(noise(1)), NS // 30)


def test_equal_pictures_are_frozen_after_two_seconds_and_twenty():
    watch = PictureWatch()
    watch.judge(raw(noise(0)), 0)
    found = []
    for i in range(1, 100):
        assert watch.judge(raw(noise(1)), i * NS // 30)
        found.append(watch.trouble is not None)
    first = found.index(True) / 30
    assert first == pytest.approx(2.0, abs=0.1)
    watch.judge(raw(noise(2)), 4 * NS)
    assert watch.trouble is None


def test_a_slow_camera_has_longer():
    watch = PictureWatch()
    watch.judge(raw(noise(0)), 0)
    for i in range(18):
        watch.judge(raw(noise(1)), i * NS)
        assert watch.trouble is None


def test_one_changed_byte_in_a_slice_is_another_picture():
    watch = PictureWatch()
    data = bytearray(noise(0))
    for i in range(100):
        data[-1] = i
        watch.judge(raw(bytes(data)), i * NS // 30)
    assert watch.trouble is None


def test_a_jpeg_is_whole_with_padding_and_not_without_its_end(jpeg):
    assert is_whole(jpeg)
    assert is_whole(jpeg + bytes(5000))
    for length in (0, 1, 2, 100, len(jpeg) // 2, len(jpeg) - 2):
        assert not is_whole(jpeg[:length])


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture(jpeg):
    thumbnail = b"\xff\xe1" + (len(jpeg) + 2).to_bytes(2, "big") + jpeg
    with_thumbnail = jpeg[:2] + thumbnail + jpeg[2:]
    assert is_whole(with_thumbnail)
    assert not is_whole(with_thumbnail[: len(with_thumbnail) - 10])


def test_damaged_jpegs_are_dropped_counted_and_a_failure_only_alone(jpeg):
    watch = PictureWatch()
    for i in range(100):
        part = jpeg[: len(jpeg) // 2] if i % 2 else jpeg + bytes([i])
        kept = watch.judge(raw(part, "image/jpeg"), i * NS // 10)
        assert kept == (i % 2 == 0 and i > 0)
    assert (watch.damaged, watch.trouble) == (50, None)
    for i in range(100, 130):
        watch.judge(raw(jpeg[:50], "image/jpeg"), i * NS // 10)
    assert watch.trouble == "nothing but damaged pictures for 2 s"
