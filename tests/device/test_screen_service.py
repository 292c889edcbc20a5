from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pygame
import pytest

from waiting import HANG_S, wait_for
from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import DeviceError
from ytm_device.bus.channel import Publisher
from ytm_device.frame import Reflection
from ytm_device.screen import service
from ytm_device.screen.picture import Enlarger
from ytm_device.screen.window import HEADLESS_SIZE
from ytm_device.status import read_status


def _reflection(bundle: Bundle, colour: tuple[int, int, int]) -> Reflection:
    """A picture with `colour` in its left half."""
    spec = bundle.manifest.image
    image = np.zeros((spec.height, spec.width, 3), np.uint8)
    image[:, : spec.width // 2] = colour
    return Reflection(
        image=image,
        mel=np.zeros(bundle.manifest.sound.mel_shape, np.float32),
        presence=True,
        presence_since_ns=0,
        taken_ns=time.monotonic_ns(),
        sequence=0,
        bundle_id=bundle.id,
    )


@contextmanager
def _running(
    bundle: Bundle, run_dir: Path, *, headless: bool
) -> Iterator[tuple[threading.Thread, threading.Event]]:
    """The service in a thread, which is stopped and joined at the end."""
    stop = threading.Event()
    endpoint = f"ipc://{run_dir}/reflections"
    thread = threading.Thread(
        target=service.run, args=(bundle, endpoint, run_dir, False, headless, stop)
    )
    thread.start()
    try:
        yield thread, stop
    finally:
        stop.set()
        thread.join(HANG_S)
        assert not thread.is_alive()


def _alike(shown: np.ndarray, expected: np.ndarray) -> bool:
    """OpenCV rounds pictures of three and of four channels differently here and there."""
    return int(np.abs(shown.astype(int) - expected).max()) <= 1


def _status_when(run_dir: Path, condition: Callable[[dict], Any]) -> Callable[[], Any]:
    def find() -> Any:
        status = read_status(run_dir, "screen")
        return status if status and condition(status) else None

    return find


def test_a_reflection_reaches_the_screen_and_escape_leaves(
    tiny_bundle: Bundle, tmp_path: Path, screen: Any
) -> None:
    height, width = screen.pixels().shape[:2]
    reflection = _reflection(tiny_bundle, (250, 40, 10))
    expected = Enlarger(tiny_bundle.manifest.image, width, height).render(reflection.image)
    with (
        Publisher(f"ipc://{tmp_path}/reflections") as publisher,
        _running(tiny_bundle, tmp_path, headless=False) as (thread, stop),
    ):
        wait_for(
            lambda: _alike(screen.pixels(), expected),
            lambda: publisher.publish(reflection),
        )
        assert not stop.is_set()
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE))
        thread.join(HANG_S)
        assert stop.is_set()
        assert not thread.is_alive()
    last = read_status(tmp_path, "screen")
    assert (last["driver"], last["mode"]) == ("x11", "mirror")
    assert last["frame_to_screen_p50_ms"] > 0


def test_the_replay_is_on_screen_when_nobody_answers(
    tiny_bundle: Bundle, tmp_path: Path, screen: Any
) -> None:
    height, width = screen.pixels().shape[:2]
    enlarger = Enlarger(tiny_bundle.manifest.image, width, height)
    stills = [enlarger.render(image) for image in tiny_bundle.replay().reconstructions]
    with _running(tiny_bundle, tmp_path, headless=False):
        wait_for(lambda: any(_alike(screen.pixels(), still) for still in stills))


def test_the_status_tells_mirror_from_replay(tiny_bundle: Bundle, tmp_path: Path) -> None:
    with (
        Publisher(f"ipc://{tmp_path}/reflections") as publisher,
        _running(tiny_bundle, tmp_path, headless=True),
    ):
        replay = wait_for(_status_when(tmp_path, lambda status: status["frames"] > 0))
        assert (replay["mode"], replay["reflection_age_ms"]) == ("replay", None)
        assert (replay["driver"], replay["width"], replay["height"]) == (
            "offscreen",
            *HEADLESS_SIZE,
        )
        mirror = wait_for(
            _status_when(tmp_path, lambda status: status["mode"] == "mirror"),
            lambda: publisher.publish(_reflection(tiny_bundle, (1, 2, 3))),
        )
        assert mirror["frames"] > replay["frames"]
        assert mirror["frames_per_s"] > 0
        assert mirror["reflection_age_ms"] >= 0
        assert 0 < mirror["frame_to_screen_p50_ms"] <= mirror["frame_to_screen_p95_ms"]
        wait_for(_status_when(tmp_path, lambda status: status["mode"] == "replay"))


def test_a_missing_screen_is_named(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":54321")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(DeviceError, match="DISPLAY=:54321 cannot be reached"):
        service.run(
            tiny_bundle,
            f"ipc://{tmp_path}/reflections",
            tmp_path,
            False,
            False,
            threading.Event(),
        )
