"""A whole installation to plant faults in: three services, a card, a display, and witnesses.

The services are the real ones on real GStreamer, ONNX Runtime, ALSA and SDL; who watches them is
outside. `systemd`'s part is played by `supervisor`.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ears import LONGEST_SILENCE_S, Ears, Span
from eyes import Eyes, XServer, looking, x_serving
from mirror_process import COMMAND
from sound_latency import with_card
from stalls import Stalls, watching_stalls
from supervisor import Run, Supervisor, supervising, unit_from_file
from waiting import wait_for
from ytm_bundle.bundle import open_bundle
from ytm_device.options import REFLECT, SCREEN, SERVICES, SOUND
from ytm_device.sound.settings import SoundSettings
from ytm_device.status import read_status

ROUNDING_DB = 0.01
"""Of a sample to a whole number."""
_NS_PER_S = 1_000_000_000
Settings = Mapping[str, Mapping[str, Any]]
ALWAYS: Settings = {"presence": {"always": True}, "light": {"level": False}}
"""Somebody always is there, and light is left as it is: what the camera sees decides alone."""


@dataclass(frozen=True)
class Installation:
    """What runs, and what saw and heard it."""

    folder: Path
    """Of everything: `data`, `card.raw`, `log/<service>.log`."""
    run_dir: Path
    """What lies in /run/ytm on a board."""
    supervisor: Supervisor
    ears: Ears
    eyes: Eyes
    x_server: XServer
    stalls: Stalls
    environment: Mapping[str, str]
    services: Sequence[str]

    @property
    def data(self) -> Path:
        """What lies in /data/ytm on a board."""
        return self.folder / "data"

    def status(self, service: str) -> dict[str, Any]:
        """What it last said of itself."""
        return dict(read_status(self.run_dir, service))

    def wait_status(
        self, service: str, *, meanwhile: Callable[[], object] = bool, **wanted: Any
    ) -> dict[str, Any]:
        """Wait until a status written after now has these values; a callable judges its own."""
        asked_ns = time.monotonic_ns()

        def found() -> dict[str, Any] | None:
            status = self.status(service)
            if not status or status["written_ns"] < asked_ns:
                return None
            fits = (
                value(status.get(key)) if callable(value) else status.get(key) == value
                for key, value in wanted.items()
            )
            return status if all(fits) else None

        try:
            return wait_for(found, meanwhile)
        except AssertionError as error:
            raise AssertionError(
                f"{service} was never {wanted}, but {self.status(service)}\n"
                f"{tail(self.folder / 'log' / f'{service}.log')}"
            ) from error

    def mirrors(self) -> None:
        """Wait until what the camera sees is seen and heard."""
        self.wait_status(REFLECT, mode="mirror")
        for service in (SOUND, SCREEN):
            self.wait_status(service, mode="mirror")

    def spans(self, service: str, since_ns: int = 0) -> list[Span]:
        """When its processes ran, from `since_ns` until now."""
        now_ns = time.monotonic_ns()
        runs = self.supervisor.runs(service)
        ends = [each.gone_ns or each.bitten_ns or each.ended_ns or now_ns for each in runs]
        spans = [(max(a.started_ns, since_ns), end) for a, end in zip(runs, ends, strict=True)]
        return [each for each in spans if each[0] < each[1]]

    def silences(self, since_ns: int = 0) -> list[Span]:
        """Too long silences while the sound service ran that no stall of the machine explains."""
        found = self.ears.silences(self.spans(SOUND, since_ns))
        longest_ns = LONGEST_SILENCE_S * _NS_PER_S
        return [s for s in found if s[1] - s[0] - self.stalls.overlap_ns(s) > longest_ns]

    def darkness(self, since_ns: int = 0) -> list[Span]:
        """Black screens while the screen service ran."""
        return self.eyes.black(self.spans(SCREEN, since_ns))

    def is_too_loud(self) -> bool:
        """Whether any sample was louder than the ceiling."""
        return self.ears.loudest_dbfs() > SoundSettings().ceiling_dbfs + ROUNDING_DB

    def ask(self, service: str, verb: str) -> dict[str, Any]:
        """Say a verb to a service, as `ytm-mirror ctl` does, and give its answer."""
        return wait_for(lambda: self._answer(service, verb))

    def _answer(self, service: str, verb: str) -> dict[str, Any] | None:
        """None where so many wait that nobody else is let in."""
        with suppress(BlockingIOError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(self.run_dir / f"{service}.sock"))
            connection.sendall(json.dumps({"verb": verb}).encode() + b"\n")
            with connection.makefile("rb") as answer:
                return dict(json.loads(answer.readline()))
        return None

    def ctl(self, *words: object) -> subprocess.CompletedProcess[str]:
        """`ytm-mirror ctl` with these words, to its end."""
        return subprocess.run(
            [*COMMAND, "ctl", *map(str, words)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def stop_for(self, services: Sequence[str], seconds: float) -> None:
        """Hold them by SIGSTOP for a while."""
        with ExitStack() as stack:
            for name in services:
                stack.enter_context(self.supervisor.stopped(name))
            time.sleep(seconds)

    def first_sound_s(self, run: Run) -> float | None:
        """Seconds from the start of the process until it was first heard."""
        return _since(run.started_ns, self.ears.first_after(run.started_ns))

    def first_picture_s(self, run: Run) -> float | None:
        """Seconds from the start of the process until there was first a picture."""
        return _since(run.started_ns, self.eyes.first_after(run.started_ns))


def _since(from_ns: int, to_ns: int | None) -> float | None:
    return None if to_ns is None else (to_ns - from_ns) / _NS_PER_S


def write_settings(path: Path, settings: Settings) -> None:
    """Write them as TOML."""
    lines = []
    for table, values in settings.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@contextmanager
def installed(
    folder: Path,
    bundle: Path,
    camera: object,
    card_library: Path,
    environment: Mapping[str, str],
    *,
    settings: Settings = ALWAYS,
    watchdog_s: Mapping[str, float] | None = None,
    services: Sequence[str] = SERVICES,
    preload: Mapping[str, str] | None = None,
    run_dir: Path | None = None,
    display: bool = True,
) -> Iterator[Installation]:
    """Run an installation; what is inside begins when every service is ready.

    Args:
        folder: in memory; gets a folder for this installation.
        bundle: is copied to where an installed one lies, and may be replaced there.
        camera: as for `--camera`.
        card_library: `paced_pcm.c`, compiled.
        environment: of the services.
        settings: those of the base file, beside camera and card.
        watchdog_s: of some services; without it, as their units say.
        services: that run.
        preload: more environment, of the services alone.
        run_dir: what lies in /run/ytm on a board; without it, a folder in `folder`.
        display: there is one from the beginning on.
    """
    folder = Path(tempfile.mkdtemp(dir=folder))
    run_dir = run_dir or folder / "run"
    base = _furnish(folder, run_dir, bundle, camera, settings)
    with ExitStack() as stack:
        x_server = stack.enter_context(x_serving(folder / "x"))
        if not display:
            x_server.stop()
        outside = _with_faulty_card(folder, card_library, environment)
        outside |= {"DISPLAY": x_server.display, "SDL_FRAMEBUFFER_ACCELERATION": "0"}
        places = ["--settings", base, "--data", folder / "data", "--run-dir", run_dir]
        units = [
            unit_from_file(
                name,
                [*COMMAND, name, *map(str, places)],
                outside | dict(preload or {}),
                (watchdog_s or {}).get(name),
            )
            for name in services
        ]
        with open_bundle(bundle) as opened:
            ears = Ears(folder, opened.manifest.sound.playback_rate_hz)
        eyes = stack.enter_context(looking(x_server.file))
        stalls = stack.enter_context(watching_stalls(folder / "log"))
        supervisor = stack.enter_context(supervising(units, folder / "log"))
        for name in services:
            supervisor.wait_ready(name)
        yield Installation(
            folder, run_dir, supervisor, ears, eyes, x_server, stalls, outside, services
        )


def _furnish(folder: Path, run_dir: Path, bundle: Path, camera: object, settings: Settings) -> Path:
    """Make the folders of an installation, with its bundle in them; where its settings are."""
    for name in ("data", "x", "log"):
        (folder / name).mkdir()
    run_dir.mkdir(exist_ok=True)
    shutil.copytree(bundle, folder / "data/bundle")
    base = folder / "mirror.toml"
    said = {key: dict(values) for key, values in settings.items()}
    said.setdefault("camera", {}).setdefault("device", str(camera))
    said.setdefault("sound", {}).setdefault("pcm", "card")
    write_settings(base, said)
    return base


def _with_faulty_card(
    folder: Path, library: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """The environment with a paced `card` that files in `folder` make faulty."""
    prepared = with_card(folder, library, environment)
    faults = " ".join(f'{name} "{folder}/{name}"' for name in ("gone", "stuck", "refuse"))
    written = Path(prepared["ALSA_CONFIG_PATH"])
    text = written.read_text()
    written.write_text(text.replace("type paced", f"type paced {faults}"))
    return prepared


def tail(log: Path, lines: int = 30) -> str:
    """The end of what a service printed."""
    with suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""
