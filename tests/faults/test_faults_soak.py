"""Everything at random for a long time: each fault recovered, and nothing grows."""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from faulty_minds import with_faults
from films import BALL, BLACK, WHITE, film
from hostility import KINDS, bad_messages, flooding, speaking
from installation import ALWAYS, Installation, installed
from planting import Fault, planted
from pressure import built_clock, loaded, memory_taken, move
from supervisor import Run
from waiting import HANG_S, wait_for
from ytm_bundle.bundle import open_bundle
from ytm_bundle.files import replacing_folder
from ytm_device.options import REFLECT, SCREEN, SERVICES, SOUND

SOAK_S = float(os.environ.get("YTM_SOAK_S", "60"))
LASTS_S = (0.5, 3.0)
"""How long a fault lasts that can be taken away."""
SHORT_STOP_S = 0.2
YEARS = 10
WATCHDOG_S = dict.fromkeys(SERVICES, 5.0)
SEED = int(os.environ.get("YTM_SEED", "17"))
LOOK_S = 1.0
SETTLED_S = 20.0
"""From the start of a process on, until its memory is looked at."""
SLOPE_FROM = 60
"""Looks at one process that make a slope."""
MOST_KIB_PER_HOUR = 16 << 10
JUDGED_S = 1800
"""In less, what an allocator keeps is more than what grows."""
WHAT = ((1, "KiB"), (2, "threads"), (3, "descriptors"))
HOUR_S = 3600


@dataclass
class Diary:
    """What each process used, from its status, a look a second."""

    looks: dict[tuple[str, int], list[tuple[float, float, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Service and process -> seconds, KiB, threads, descriptors."""

    def look(self, installation: Installation) -> None:
        for name in SERVICES:
            status = installation.status(name)
            if not status or status["written_ns"] - status["started_ns"] < SETTLED_S * 1e9:
                continue
            figures = (status["memory_kib"], status["threads"], status["descriptors"])
            looks = self.looks[name, status["pid"]]
            if not looks or looks[-1][0] != status["written_ns"] / 1e9:
                looks.append((status["written_ns"] / 1e9, *figures))

    def slopes(self, service: str, what: int) -> list[float]:
        """By how much an hour each process of it grew: its last third over its first."""
        return [
            _slope([(look[0], look[what]) for look in looks])
            for (name, _), looks in self.looks.items()
            if name == service and len(looks) >= SLOPE_FROM
        ]


def _slope(looks: list[tuple[float, float]]) -> float:
    third = len(looks) // 3
    (early_s, early), (late_s, late) = (
        tuple(statistics.median(column) for column in zip(*part, strict=True))
        for part in (looks[:third], looks[-third:])
    )
    return (late - early) / (late_s - early_s) * HOUR_S


@contextmanager
def keeping(diary: Diary, installation: Installation) -> Iterator[None]:
    """Look into the statuses all the while."""
    leave = threading.Event()

    def look() -> None:
        while not leave.wait(LOOK_S):
            diary.look(installation)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        leave.set()
        thread.join(HANG_S)


@dataclass
class Planter:
    """Plants any fault in an installation, and sees to it that it recovers."""

    it: Installation
    chance: random.Random
    bundles: list[Path]
    films: Mapping[str, Path]
    moved: Path

    def gentle(self) -> list[Callable[[], None]]:
        """Those that end no process."""
        return [
            self.short_stop,
            self.card_gone,
            self.card_stuck,
            self.bundle_replaced,
            self.bundle_refused,
            self.settings_broken,
            self.flood,
            self.busy,
            self.memory,
            self.clock,
            self.not_a_number,
        ]

    def deadly(self) -> list[Callable[[], None]]:
        """Those that end some."""
        return [self.kill, self.kill_all, self.bite, self.hang, self.display_gone, self.liar]

    def _for_a_while(self) -> None:
        time.sleep(self.chance.uniform(*LASTS_S))

    def _heard(self) -> int:
        now_ns = time.monotonic_ns()
        return wait_for(lambda: self.it.ears.first_after(now_ns))

    def _recover(self, fault: Fault) -> None:
        self.it.mirrors()
        fault.recovered()

    def short_stop(self) -> None:
        group = self.chance.sample(SERVICES, self.chance.randint(1, len(SERVICES)))
        with planted(self.it, f"stop {'+'.join(sorted(group))} for {SHORT_STOP_S:g} s") as fault:
            self.it.stop_for(group, SHORT_STOP_S)
            self._recover(fault)

    def card_gone(self) -> None:
        with planted(self.it, "card pulled out") as fault:
            self._card("gone", fault)

    def card_stuck(self) -> None:
        with planted(self.it, "card hangs for a while") as fault:
            self._card("stuck", fault)

    def _card(self, what: str, fault: Fault) -> None:
        fault.silent_expected = True
        (self.it.folder / what).touch()
        self._for_a_while()
        (self.it.folder / what).unlink()
        fault.mended()
        self._heard()
        self.it.wait_status(SOUND, problem=None)
        self._recover(fault)

    def _install(self, bundle: Path, cut: str | None = None) -> None:
        with replacing_folder(self.it.data / "bundle") as folder:
            shutil.copytree(bundle, folder, dirs_exist_ok=True)
            if cut is not None:
                data = (folder / cut).read_bytes()
                (folder / cut).write_bytes(data[: len(data) // 2])

    def bundle_replaced(self) -> None:
        self.bundles.reverse()
        with planted(self.it, "bundle replaced") as fault:
            self._install(self.bundles[0])
            self._playing()
            self._recover(fault)

    def _playing(self) -> None:
        with open_bundle(self.bundles[0]) as opened:
            for name in SERVICES:
                self.it.wait_status(name, bundle=opened.id, bundle_problem=None)

    def bundle_refused(self) -> None:
        with planted(self.it, "bundle refused") as fault:
            self._install(self.bundles[1], cut="graphs/image_encoder.onnx")
            for name in SERVICES:
                self.it.wait_status(name, bundle_problem=lambda problem: bool(problem))
            self._recover(fault)
        self.bundle_replaced()

    def _set(self, text: bytes | None) -> None:
        overlay = self.it.data / "mirror.toml"
        overlay.write_bytes(text or b"")
        for name in SERVICES:
            self.it.ask(name, "reload")

    def settings_broken(self) -> None:
        with planted(self.it, "settings broken") as fault:
            self._set(self.chance.randbytes(200))
            for name in SERVICES:
                self.it.wait_status(name, settings_problem=lambda problem: bool(problem))
            self._set(None)
            fault.mended()
            for name in SERVICES:
                self.it.wait_status(name, settings_problem=None)
            self._recover(fault)

    def flood(self) -> None:
        with planted(self.it, "requests in a flood") as fault:
            with flooding([self.it.run_dir / f"{name}.sock" for name in SERVICES]):
                self._for_a_while()
            fault.mended()
            for name in SERVICES:
                assert self.it.ask(name, "status")["ok"]
            self._recover(fault)

    def busy(self) -> None:
        with planted(self.it, "cores loaded") as fault:
            with loaded():
                self._for_a_while()
            self._recover(fault)

    def memory(self) -> None:
        with planted(self.it, "memory pressure") as fault:
            with memory_taken():
                self._for_a_while()
            self._recover(fault)

    def clock(self) -> None:
        years = self.chance.choice([-YEARS, 0, YEARS])
        with planted(self.it, f"clock moved by {years:+d} years") as fault:
            move(self.moved, years)
            self._for_a_while()
            self._recover(fault)

    def not_a_number(self) -> None:
        with planted(self.it, "engine gives NaN") as fault:
            before = self.it.wait_status(REFLECT)["bad_answers"]
            self._look_at(BLACK)
            self.it.wait_status(REFLECT, bad_answers=lambda count: count > before)
            self._set(None)
            fault.mended()
            self._recover(fault)

    def _look_at(self, what: str) -> None:
        self._set(f"[camera]\ndevice = {json.dumps(str(self.films[what]))}\n".encode())

    def kill(self) -> None:
        self._kill((self.chance.choice(SERVICES),))

    def kill_all(self) -> None:
        self._kill(SERVICES)

    def _kill(self, group: tuple[str, ...]) -> None:
        with planted(self.it, f"kill {'+'.join(group)}", restarts=len(group)) as fault:
            killed = [self.it.supervisor.kill(name) for name in group]
            self._back(killed, fault)

    def bite(self) -> None:
        name = self.chance.choice(SERVICES)
        with planted(self.it, f"stop {name} for good", restarts=1) as fault:
            self._back([self.it.supervisor.hold(name)], fault)

    def _back(self, ended: list[Run], fault: Fault) -> None:
        for run in ended:
            self.it.supervisor.wait_ready(run.service, run)
        self._recover(fault)

    def hang(self) -> None:
        run = self.it.supervisor.run(REFLECT)
        with planted(self.it, "engine hangs", restarts=1) as fault:
            self._look_at(WHITE)
            wait_for(lambda: run.bitten_ns)
            (self.it.data / "mirror.toml").write_bytes(b"")
            fault.mended()
            self._back([run], fault)

    def display_gone(self) -> None:
        run = self.it.supervisor.run(SCREEN)
        with planted(self.it, "display gone and back", restarts=1) as fault:
            fault.black_expected = True
            self.it.x_server.stop()
            self._for_a_while()
            self.it.x_server.start()
            fault.mended()
            self.it.eyes.wait_picture(time.monotonic_ns())
            self._back([run], fault)

    def liar(self) -> None:
        """Somebody else publishes while reflect is stopped, until its watchdog bites."""
        held = self.it.supervisor.hold(REFLECT)
        kind = self.chance.choice(KINDS)
        with planted(self.it, f"messages {kind}", restarts=1) as fault, ExitStack() as stack:
            with open_bundle(self.bundles[0]) as opened:
                messages = bad_messages(opened, kind)
                publisher = stack.enter_context(speaking(self.it.run_dir))
                while held.bitten_ns is None:
                    publisher.send(next(messages))
                    time.sleep(0.01)
            stack.close()
            fault.mended()
            self._back([held], fault)


@pytest.fixture(scope="module")
def bundles(bundle: Path, make_bundle: Callable[..., Path], folder: Path) -> list[Path]:
    """Two, of one sound, with engines that fail at black and at white."""
    with open_bundle(bundle) as opened:
        sound = opened.manifest.sound
    inputs = {"image_to_sound": ("latent", "image")}
    other = make_bundle(folder / "other", sound=sound, inputs=inputs, seed=1)
    return [with_faults(bundle, folder / "first"), with_faults(other, folder / "second")]


def test_everything_at_random(
    folder: Path,
    bundles: list[Path],
    card_library: Path,
    environment: Mapping[str, str],
) -> None:
    films = {what: film(folder / f"{what}.mp4", [(what, 2)]) for what in (BALL, BLACK, WHITE)}
    moved = folder / "moved"
    move(moved, 0)
    preload = {"LD_PRELOAD": str(built_clock(folder)), "YTM_MOVED_CLOCK": str(moved)}
    diary, counted = Diary(), defaultdict(int)
    with installed(
        folder,
        bundles[0],
        films[BALL],
        card_library,
        environment,
        settings=ALWAYS,
        watchdog_s=WATCHDOG_S,
        preload=preload,
    ) as running:
        running.mirrors()
        planter = Planter(running, random.Random(SEED), bundles, films, moved)
        with keeping(diary, running):
            for faults, share in ((planter.gentle(), 0.5), (planter.deadly(), 0.5)):
                until_s = time.monotonic() + share * SOAK_S
                while time.monotonic() < until_s:
                    plant = planter.chance.choice(faults)
                    plant()
                    counted[plant.__name__] += 1
    print(f"\n{sum(counted.values())} faults, all recovered: {dict(counted)}")
    for name in SERVICES:
        grown = {what: [round(each, 1) for each in diary.slopes(name, i)] for i, what in WHAT}
        print(f"{name}: an hour, each process: {grown}")
        assert all(each == 0 for what in ("threads", "descriptors") for each in grown[what])
        assert SOAK_S < JUDGED_S or all(each <= MOST_KIB_PER_HOUR for each in grown["KiB"])
