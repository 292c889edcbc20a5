from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pygame
import pytest

from fake_framebuffer import FakeFramebuffer
from mirror_process import COMMAND
from waiting import HANG_S, wait_for
from ytm_bundle.bundle import Bundle
from ytm_device.bus.channel import Publisher
from ytm_device.fading import mixed_pictures
from ytm_device.frame import Reflection
from ytm_device.replay import Programme
from ytm_device.run_dirs import endpoint
from ytm_device.screen import framebuffer, service
from ytm_device.screen.display import Display
from ytm_device.screen.outlets import Places
from ytm_device.screen.picture import Enlarger
from ytm_device.screen.window import HEADLESS_SIZE
from ytm_device.settings.source import SettingsSource
from ytm_device.status import read_status

STEADY = "[screen]\nshift_px = 0\n"


def _reflection(bundle: Bundle, colour: tuple[int, int, int]) -> Reflection:
    """A picture with `colour` in its left half, while somebody is there."""
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


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Folder of the bus and the status, and of a settings file that keeps the picture in place."""
    (tmp_path / "mirror.toml").write_text(STEADY)
    return tmp_path


@contextmanager
def _running(
    bundle: Bundle, run_dir: Path, *, headless: bool
) -> Iterator[tuple[threading.Thread, threading.Event]]:
    """The service in a thread, which is stopped and joined at the end."""
    stop = threading.Event()
    named = {"bundle": str(bundle.folder)}
    source = SettingsSource(run_dir / "no-base.toml", run_dir, named)
    thread = threading.Thread(
        target=service.run,
        args=(source, run_dir, stop),
        kwargs={"headless": headless},
    )
    thread.start()
    try:
        yield thread, stop
    finally:
        stop.set()
        thread.join(HANG_S)
        assert not thread.is_alive()


def _alike(shown: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.abs(shown.astype(int) - expected).max() <= 1)


def _status_when(run_dir: Path, condition: Callable[[dict], Any]) -> Callable[[], Any]:
    def find() -> dict | None:
        status = read_status(run_dir, "screen")
        return status if status and condition(status) else None

    return find


def test_a_reflection_reaches_the_screen_and_escape_leaves(
    tiny_bundle: Bundle, run_dir: Path, screen: Any
) -> None:
    height, width = screen.pixels().shape[:2]
    colour = (250, 40, 10)
    enlarger = Enlarger(tiny_bundle.manifest.image, width, height)
    expected = enlarger.render(_reflection(tiny_bundle, colour).image)
    with (
        Publisher(endpoint(run_dir)) as publisher,
        _running(tiny_bundle, run_dir, headless=False) as (thread, stop),
    ):
        wait_for(
            lambda: _alike(screen.pixels(), expected),
            lambda: publisher.publish(_reflection(tiny_bundle, colour)),
        )
        assert not stop.is_set()
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE))
        thread.join(HANG_S)
        assert stop.is_set()
        assert not thread.is_alive()
    last = read_status(run_dir, "screen")
    assert (last["driver"], last["mode"], last["problem"]) == ("x11", "mirror", None)
    assert (last["width"], last["height"]) == (width, height)
    assert last["frame_to_screen_p50_ms"] > 0


def test_the_replay_is_on_screen_when_nobody_answers(
    tiny_bundle: Bundle, run_dir: Path, screen: Any
) -> None:
    height, width = screen.pixels().shape[:2]
    enlarger = Enlarger(tiny_bundle.manifest.image, width, height)
    replay = tiny_bundle.replay()
    stills = [enlarger.render(image) for image in (*replay.reconstructions, *replay.images)]
    with _running(tiny_bundle, run_dir, headless=False):
        wait_for(lambda: any(_alike(screen.pixels(), still) for still in stills))


def test_the_status_tells_mirror_from_replay(tiny_bundle: Bundle, run_dir: Path) -> None:
    with (
        Publisher(endpoint(run_dir)) as publisher,
        _running(tiny_bundle, run_dir, headless=True),
    ):
        replay = wait_for(_status_when(run_dir, lambda status: status["frames"] > 0))
        assert (replay["mode"], replay["reflection_age_ms"]) == ("replay", None)
        assert (replay["driver"], replay["width"], replay["height"]) == (
            "offscreen",
            *HEADLESS_SIZE,
        )
        mirror = wait_for(
            _status_when(run_dir, lambda status: status["mode"] == "mirror"),
            lambda: publisher.publish(_reflection(tiny_bundle, (1, 2, 3))),
        )
        assert mirror["frames"] > replay["frames"]
        assert mirror["frames_per_s"] > 0
        assert mirror["reflection_age_ms"] >= 0
        assert 0 < mirror["frame_to_screen_p50_ms"] <= mirror["frame_to_screen_p95_ms"]
        assert mirror["progress_ns"] > replay["progress_ns"]
        wait_for(_status_when(run_dir, lambda status: status["mode"] == "replay"))


@pytest.fixture
def board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Places, FakeFramebuffer]]:
    """A board whose framebuffer is not there yet, in the place of this machine."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dev").mkdir()
    places = Places(tmp_path / "sys", tmp_path / "dev")
    fake = FakeFramebuffer(places.framebuffer)
    monkeypatch.setattr(framebuffer.fcntl, "ioctl", fake.ioctl)
    monkeypatch.setattr(service, "Display", partial(Display, places=places))
    return places, fake


def test_it_goes_on_without_a_display_and_shows_on_the_one_that_comes(
    tiny_bundle: Bundle, run_dir: Path, board: tuple[Places, FakeFramebuffer]
) -> None:
    _, fake = board
    blue = (1, 2, 200)
    expected = Enlarger(tiny_bundle.manifest.image, 60, 80).render(
        _reflection(tiny_bundle, blue).image
    )
    with (
        Publisher(endpoint(run_dir)) as publisher,
        _running(tiny_bundle, run_dir, headless=False) as (thread, _),
    ):
        none = wait_for(_status_when(run_dir, lambda status: status["driver"] == "none"))
        assert (none["width"], none["height"], none["frames"]) == (None, None, 0)
        assert "connect a screen" in none["problem"]
        later = wait_for(
            _status_when(run_dir, lambda status: status["written_ns"] > none["written_ns"])
        )
        assert later["progress_ns"] > none["progress_ns"]
        for _ in range(3):
            fake.plug()
            wait_for(
                lambda: _alike(fake.picture(), expected),
                lambda: publisher.publish(_reflection(tiny_bundle, blue)),
            )
            wait_for(_status_when(run_dir, lambda status: status["driver"] == "framebuffer"))
            fake.path.unlink()
            wait_for(_status_when(run_dir, lambda status: status["driver"] == "none"))
        assert thread.is_alive()


class _Attendant:
    """Stands in for what stands beside the service; the hours are the test's."""

    def __init__(self, source: SettingsSource) -> None:
        self.settings, _ = source.read()
        self.open = 1.0

    def openness(self, _now_ns: int) -> float:
        return self.open


class _Bus:
    """Gives what the test puts there, once."""

    rejected = 0

    def __init__(self) -> None:
        self.waiting: Reflection | None = None

    def newest(self) -> Reflection | None:
        newest, self.waiting = self.waiting, None
        return newest


@dataclass
class _Stage:
    """A show in the test's own time, on a framebuffer."""

    show: service.Show
    attendant: _Attendant
    bus: _Bus
    display: Display
    fake: FakeFramebuffer
    enlarger: Enlarger

    def sees(self, picture: np.ndarray) -> bool:
        """Whether people see it: uint8 (h, w, 3), not flipped."""
        return _alike(self.fake.picture(), self.enlarger.render(picture))


S = 1_000_000_000


@pytest.fixture
def stage(
    tiny_bundle: Bundle, run_dir: Path, board: tuple[Places, FakeFramebuffer]
) -> Iterator[_Stage]:
    places, fake = board
    fake.plug()
    attendant, bus = _Attendant(SettingsSource(run_dir / "no-base.toml", run_dir)), _Bus()
    image = tiny_bundle.manifest.image
    with Display(image, attendant.settings.screen, places=places) as display:
        programme = Programme(tiny_bundle, attendant.settings.replay.fade_s)
        show = service.Show(image, programme, bus, display, attendant)  # type: ignore[arg-type]
        yield _Stage(show, attendant, bus, display, fake, Enlarger(image, 60, 80))


def _wide(bundle: Bundle, value: int, taken_ns: int, presence: bool, since_ns: int) -> Reflection:
    spec = bundle.manifest.image
    mel = np.zeros(bundle.manifest.sound.mel_shape, np.float32)
    image = np.full((spec.height, spec.width, 3), value, np.uint8)
    return Reflection(image, mel, presence, since_ns, taken_ns, 0, bundle.id)


def test_what_has_not_changed_is_not_drawn_again(stage: _Stage) -> None:
    # A still stands still between its fades: dwell 2 s, fades 0.3 s.
    for turn in range(20):
        stage.show.turn(round(100.4 * S) + turn * S // 60)
    assert stage.show.status(0)["frames"] == 1


def test_the_mirror_fades_in_over_the_replay(tiny_bundle: Bundle, stage: _Stage) -> None:
    begin_ns = 1000 * S
    still = tiny_bundle.replay().images[tiny_bundle.manifest.replay.order[500 % 4]]
    half_ns = begin_ns + round(0.75 * S)
    stage.bus.waiting = _wide(tiny_bundle, 255, half_ns, True, begin_ns)
    stage.show.turn(half_ns)
    white = np.full_like(still, 255)
    assert stage.sees(mixed_pictures(still, white, 0.5))
    stage.show.turn(begin_ns + 2 * S)
    assert stage.sees(white)
    assert stage.show.status(0)["mode"] == "mirror"


def test_a_reflection_is_blended_with_the_one_before(tiny_bundle: Bundle, stage: _Stage) -> None:
    begin_ns = 1000 * S
    for turn in range(100):
        now_ns = begin_ns + turn * S // 10
        stage.bus.waiting = _wide(tiny_bundle, 0, now_ns, True, 0)
        stage.show.turn(now_ns)
    now_ns += S // 10
    stage.bus.waiting = _wide(tiny_bundle, 240, now_ns, True, 0)
    levels = []
    for turn in range(8):
        stage.show.turn(now_ns + turn * S // 60)
        levels.append(int(stage.fake.picture()[40, 30, 0]))
    assert levels == pytest.approx([40, 80, 120, 160, 200, 240, 240, 240], abs=2)


def test_closed_hours_are_dark_and_the_picture_fades(tiny_bundle: Bundle, stage: _Stage) -> None:
    now_ns = 1000 * S
    stage.bus.waiting = _wide(tiny_bundle, 200, now_ns, True, 0)
    stage.show.turn(now_ns)
    assert stage.fake.picture().max() == 200
    stage.attendant.open = 0.5
    stage.show.turn(now_ns + 1)
    assert stage.fake.picture().max() == 100
    stage.attendant.open = 0.0
    frame_ns = stage.show.turn_ns
    stage.show.turn(now_ns + 2)
    assert stage.fake.picture().max() == 0
    assert stage.show.turn_ns > frame_ns
    assert stage.show.status(now_ns)["problem"] is None
    stage.attendant.open = 1.0
    stage.show.turn(now_ns + 3)
    assert stage.fake.picture().max() == 200
    assert stage.show.turn_ns == frame_ns


def test_a_display_that_comes_is_drawn_on_in_the_same_turn(
    tiny_bundle: Bundle, stage: _Stage
) -> None:
    now_ns = 1000 * S
    stage.bus.waiting = _wide(tiny_bundle, 200, now_ns, True, 0)
    stage.fake.path.unlink()
    stage.show.turn(now_ns)
    assert stage.display.driver == "none"
    stage.fake.plug()
    turn = 0
    while stage.display.driver == "none":
        turn += 1
        stage.show.turn(now_ns + turn * S // 60)
        assert turn < 600
    assert stage.sees(np.full((32, 32, 3), 200, np.uint8))
    # Nor is it dark when its mode changes.
    stage.fake.width = 50
    while stage.display.size != (50, 80):
        turn += 1
        stage.show.turn(now_ns + turn * S // 60)
        assert turn < 600
    assert stage.fake.picture().max() == 200


@contextmanager
def _x_server(display: str, folder: Path) -> Iterator[None]:
    """Xvfb under a number of our choice, drawing into `folder`, killed at the end."""
    folder.mkdir()
    size = ["-screen", "0", "360x640x24", "-fbdir", str(folder)]
    server = subprocess.Popen(["Xvfb", display, *size], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        server.kill()
        server.wait(HANG_S)


@contextmanager
def _supervised(
    bundle: Bundle, run_dir: Path, environment: dict[str, str]
) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """What runs the screen service, when called, as a process of its own, killed at the end."""
    command = [*COMMAND, "screen", "--run-dir", str(run_dir), "--bundle", str(bundle.folder)]
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        (run_dir / "screen.json").unlink(missing_ok=True)
        process = subprocess.Popen(command, env=environment, cwd=run_dir, stderr=subprocess.DEVNULL)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait(HANG_S)


def test_an_x_server_may_come_late_and_die_and_come_back(
    tiny_bundle: Bundle, tmp_path: Path, environment: dict[str, str], x_server: Any
) -> None:
    """Xlib ends the process with its server; the supervisor, here the test, starts it again."""
    display = f":{10_000 + os.getpid() % 40_000}"
    environment["DISPLAY"] = display
    with _supervised(tiny_bundle, tmp_path, environment) as start:
        for turn in ("first", "second"):
            process = start()
            none = wait_for(_status_when(tmp_path, lambda status: status["driver"] == "none"))
            assert f"DISPLAY={display} cannot be reached" in none["problem"]
            folder = tmp_path / turn
            with _x_server(display, folder):
                wait_for(_status_when(tmp_path, lambda status: status["driver"] == "x11"))
                screen = type(x_server)(display, folder / "Xvfb_screen0")
                wait_for(lambda screen=screen: screen.pixels().any())
                assert process.poll() is None
            assert process.wait(HANG_S) == 1
