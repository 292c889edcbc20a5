from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fake_framebuffer import FakeFramebuffer
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import ImageSpec
from ytm_device.screen import framebuffer
from ytm_device.screen.framebuffer import ASLEEP, AWAKE, FramebufferPresenter
from ytm_device.screen.picture import Enlarger
from ytm_device.screen.presenter import Happened

SPEC = ImageSpec(width=16, height=16, fit="squeeze")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeFramebuffer:
    """A framebuffer that is there."""
    fake = FakeFramebuffer(tmp_path / "fb0")
    fake.plug()
    monkeypatch.setattr(framebuffer.fcntl, "ioctl", fake.ioctl)
    return fake


def _picture() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    ("bits", "starts"),
    [(32, (16, 8, 0)), (32, (0, 8, 16)), (32, (24, 16, 8)), (16, (11, 5, 0)), (16, (0, 5, 11))],
)
def test_the_picture_lies_where_the_kernel_says(
    fake: FakeFramebuffer, bits: int, starts: tuple[int, int, int]
) -> None:
    fake.bits, fake.starts = bits, starts
    with FramebufferPresenter(fake.path) as presenter:
        assert presenter.size == (60, 80)
        enlarger = Enlarger(SPEC, *presenter.size, 90, 4)
        presenter.show(_picture(), enlarger, (2, -3))
        expected = enlarger.render(_picture(), (2, -3))
        if bits == 16:
            expected &= np.array([0xF8, 0xFC, 0xF8], np.uint8)
        # OpenCV rounds four channels otherwise than three.
        assert np.abs(fake.picture().astype(int) - expected).max() <= (bits == 32)
        around = fake.memory()
        rows = around.reshape(-1, fake.row_bytes)
        rows[3:83, 2 * bits // 8 : 62 * bits // 8] = 7
        assert np.all(around == 7)


def test_dark_hours_send_the_display_to_sleep(fake: FakeFramebuffer) -> None:
    with FramebufferPresenter(fake.path) as presenter:
        enlarger = Enlarger(SPEC, *presenter.size)
        presenter.show(_picture(), enlarger, (0, 0))
        assert fake.picture().any()
        presenter.darken()
        assert not fake.picture().any()
        assert fake.blanked == [AWAKE, ASLEEP]
        presenter.show(_picture(), enlarger, (0, 0))
        presenter.show(_picture(), enlarger, (0, 0))
        assert fake.blanked == [AWAKE, ASLEEP, AWAKE]
        assert fake.picture().any()
    assert not fake.picture().any()


def test_a_display_that_cannot_sleep_is_black(fake: FakeFramebuffer) -> None:
    fake.can_sleep = False
    with FramebufferPresenter(fake.path) as presenter:
        presenter.show(_picture(), Enlarger(SPEC, *presenter.size), (0, 0))
        presenter.darken()
        assert not fake.picture().any()


def test_another_mode_and_a_lost_device_are_noticed(fake: FakeFramebuffer) -> None:
    with FramebufferPresenter(fake.path) as presenter:
        assert presenter.poll() == Happened()
        fake.width = 40
        with pytest.raises(DeviceError, match="has changed its mode"):
            presenter.poll()
        fake.broken = True
        with pytest.raises(DeviceError, match="No such device"):
            presenter.poll()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"bits": 8, "starts": (0, 0, 0)}, "8 bits a pixel"),
        ({"bits": 24}, "24 bits a pixel"),
        ({"bits": 16, "starts": (10, 5, 0)}, r"from bits \(10, 5, 0\); set it to 32"),
        ({"starts": (0, 10, 20)}, r"from bits \(0, 10, 20\)"),
        ({"starts": (8, 8, 8)}, r"from bits \(8, 8, 8\)"),
        ({"row_bytes": 200}, "they do not fit"),
        ({"width": 0}, "they do not fit"),
        ({"offset": (0, 20)}, "they do not fit"),
        ({"length": 100}, "they do not fit"),
        ({"broken": True}, "does not answer as a framebuffer"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    fake: FakeFramebuffer, changes: dict[str, object], complaint: str
) -> None:
    for name, value in changes.items():
        setattr(fake, name, value)
    with pytest.raises(DeviceError, match=complaint):
        FramebufferPresenter(fake.path)


def test_memory_that_is_not_there_is_refused(fake: FakeFramebuffer) -> None:
    fake.path.write_bytes(b"")
    with pytest.raises(DeviceError, match="cannot be mapped"):
        FramebufferPresenter(fake.path)


def test_a_file_is_no_framebuffer(tmp_path: Path) -> None:
    """The kernel's own answer."""
    (tmp_path / "fb0").write_bytes(b"\0" * 4096)
    with pytest.raises(DeviceError, match="does not answer as a framebuffer"):
        FramebufferPresenter(tmp_path / "fb0")
    with pytest.raises(DeviceError, match="cannot be opened"):
        FramebufferPresenter(tmp_path / "fb1")
