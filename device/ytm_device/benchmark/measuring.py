"""Everything that is measured, one part after the other, as one report."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import track

from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.errors import DeviceError
from ytm_device.benchmark import costs, hops
from ytm_device.benchmark.board import board_state, throttling
from ytm_device.benchmark.budgets import Budget
from ytm_device.benchmark.busy import REMEDY
from ytm_device.benchmark.machine import this_machine
from ytm_device.benchmark.report import (
    Board,
    BoardState,
    BundleName,
    Cost,
    Limit,
    MindName,
    Report,
    StageTimes,
)
from ytm_device.benchmark.stages import PARTS, STAGES, Times, percentiles_ms
from ytm_device.benchmark.versions import versions
from ytm_device.console import messages
from ytm_device.run_dirs import private_run_dir
from ytm_device.settings.model import MirrorSettings

if TYPE_CHECKING:
    from ytm_device.benchmark.flash import Flashed
    from ytm_device.engines.mind import Graphs

ALL, FLASH = "all", "flash"
NO_DEVICES = "--no-devices"


@dataclass(frozen=True)
class Wanted:
    """What to measure, and where."""

    part: str
    """One of `PARTS`, or `ALL`."""
    bundle: Path
    settings: MirrorSettings
    data: Path
    """What lasts on this machine: engines lie there."""
    seconds: float
    """Of each part."""
    budgets: dict[str, Budget]
    devices: bool
    """Camera, card and display may be opened."""
    run_dir: Path
    """Of the mirror on this machine: it marks engines that a process never came back from."""
    root: Path
    """Where `/sys`, `/proc` and the rest of the board's files are."""

    @property
    def parts(self) -> tuple[str, ...]:
        """One or all."""
        return PARTS if self.part == ALL else (self.part,)


@dataclass
class Found:
    """What has been measured so far."""

    times: Times = field(default_factory=Times)
    counts: dict[str, float] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    lasts_ms: dict[str, float] = field(default_factory=dict)
    """How long the sound lasts that is at stake, for the stages whose budget is a share."""
    mind: MindName | None = None
    cpu_s_per_s: dict[str, Cost] = field(default_factory=dict)
    looks: list[BoardState] = field(default_factory=list)


def measured(wanted: Wanted, is_over: Callable[[], bool] = bool) -> Report:
    """Measure it all. Devices are released when it ends, however it does.

    Args:
        wanted: what.
        is_over: asked after each part, whether somebody has had enough.

    Raises:
        KeyboardInterrupt: somebody has.
        BundleError: the bundle cannot be used.
        DeviceError: a device or a graph failed.
        MediaError: the file that plays the camera cannot be decoded.
    """
    machine, found = this_machine(), Found()
    found.looks.append(board_state(wanted.root))
    with open_bundle(wanted.bundle) as bundle:
        for part in (*wanted.parts, *([FLASH] if wanted.part == ALL else [])):
            _PARTS[part](bundle, wanted, found)
            found.looks.append(board_state(wanted.root))
            if is_over():
                raise KeyboardInterrupt
        return Report(
            parts=list(wanted.parts),
            seconds=wanted.seconds,
            machine=machine,
            versions=versions(wanted.root),
            bundle=BundleName(name=bundle.manifest.name, id=bundle.id),
            mind=found.mind,
            devices=found.devices,
            stages=_stages(wanted, found),
            counts=found.counts,
            cpu_s_per_s=found.cpu_s_per_s,
            left_out=found.left_out,
            failed=found.failed,
            board=Board(
                before=found.looks[0],
                after=found.looks[-1],
                load_1_min=os.getloadavg()[0],
                throttled=throttling(found.looks),
            ),
        )


def _stages(wanted: Wanted, found: Found) -> dict[str, StageTimes]:
    return {
        stage.name: _stage(
            found.times.ns[stage.name], wanted.budgets[stage.name], found, stage.name
        )
        for stage in STAGES
        if stage.name in found.times.ns
    }


def _stage(ns: list[int], budget: Budget, found: Found, name: str) -> StageTimes:
    ms, limit_ms = percentiles_ms(ns), budget.ms(found.lasts_ms.get(name))
    return StageTimes(
        count=len(ns),
        ms=ms,
        budget=Limit(at=budget.at, ms=limit_ms),
        within=ms[budget.at] <= limit_ms,
    )


# Each imports its libraries late: what is not measured need not be installed.


def _measure_reflect(bundle: Bundle, wanted: Wanted, found: Found) -> None:
    from ytm_device.benchmark.reflecting import Reflecting
    from ytm_device.bus.channel import Publisher
    from ytm_device.camera.choice import choose_camera
    from ytm_device.camera.demo import NAME
    from ytm_device.run_dirs import endpoint

    settings = wanted.settings
    camera = choose_camera(settings.camera.device if wanted.devices else _file(settings, NAME))
    with ExitStack() as stack:
        run_dir = stack.enter_context(private_run_dir())
        mind, found.mind = _open_mind(bundle, wanted)
        stack.enter_context(closing(mind))
        publisher = stack.enter_context(Publisher(endpoint(run_dir)))
        reflecting = Reflecting(bundle, mind, publisher, found.times)
        _say(f"reflect: {camera.name}")
        try:
            source = stack.enter_context(camera.open(bundle.manifest.image))
            found.counts |= reflecting.measure(source, wanted.seconds)
        except DeviceError as error:
            raise DeviceError(f"{error}; {REMEDY}" if wanted.devices else str(error)) from error
    why = camera.why if wanted.devices else "no device is opened"
    found.devices["camera"] = f"{camera.name} ({why})"


def _open_mind(bundle: Bundle, wanted: Wanted) -> tuple[Graphs, MindName]:
    from ytm_device.benchmark.minds import open_mind
    from ytm_device.reflecting.working import wish_of

    return open_mind(bundle, wish_of(wanted.settings), wanted.data, wanted.run_dir)


def _file(settings: MirrorSettings, otherwise: str) -> str:
    """The video file that plays the camera; it is no device."""
    device = settings.camera.device
    return device if device is not None and Path(device).is_file() else otherwise


def _measure_screen(bundle: Bundle, wanted: Wanted, found: Found) -> None:
    from ytm_device.benchmark import screening

    screen, times = wanted.settings.screen, found.times
    if not wanted.devices:
        found.devices["screen"] = screening.measure_enlarging(bundle, screen, wanted.seconds, times)
        found.left_out["flip"] = NO_DEVICES
        return
    places = screening.places_in(wanted.root)
    headless = screening.is_headless(screen, places)
    with screening.WatchedDisplay(bundle.manifest.image, screen, headless, places) as display:
        name = screening.opened(display)
        found.devices["screen"] = f"{name} ({screening.OFFSCREEN})" if headless else name
        _say(f"screen: {name}")
        screening.measure(bundle, display, wanted.seconds, times)


def _measure_sound(bundle: Bundle, wanted: Wanted, found: Found) -> None:
    _say("sound: hops")
    made = hops.measure(bundle, wanted.seconds, found.times)
    found.lasts_ms["invert"], found.counts["samples a hop"] = made.lasts_ms, made.samples
    _measure_costs(bundle, wanted, found)
    if not wanted.devices:
        found.left_out["write"] = NO_DEVICES
        return
    from ytm_device.benchmark import writing

    rate_hz = bundle.manifest.sound.playback_rate_hz
    with writing.open_sink(wanted.settings.sound, rate_hz) as sink:
        found.devices["card"] = sink.name
        found.lasts_ms["write"] = writing.buffer_ms(sink)
        _say(f"sound: {sink.name}")
        found.counts |= writing.measure(bundle, sink, wanted.seconds, found.times)


def _measure_costs(bundle: Bundle, wanted: Wanted, found: Found) -> None:
    methods, left_out = costs.methods_for(bundle)
    found.left_out |= left_out
    rounds = track(
        range(max(1, round(wanted.seconds / costs.ROUND_S))),
        "sound: CPU time of each method",
        console=messages,
        transient=True,
        disable=not messages.is_terminal,
    )
    rate_hz = bundle.manifest.sound.playback_rate_hz
    found.cpu_s_per_s = costs.measure(methods, rate_hz, rounds)


def _measure_flash(bundle: Bundle, wanted: Wanted, found: Found) -> None:
    if not wanted.devices:
        found.left_out |= {"frame to photon": NO_DEVICES, "frame to sample": NO_DEVICES}
        return
    from ytm_device.benchmark import flash
    from ytm_device.benchmark.flash_ends import Task

    with ExitStack() as stack:
        run_dir = stack.enter_context(private_run_dir())
        mind, _ = _open_mind(bundle, wanted)
        stack.enter_context(closing(mind))
        _say("flashes, to be found on the screen and in the sound")
        task = Task(wanted.bundle.absolute(), run_dir, wanted.settings, wanted.root)
        flashed = flash.measure(bundle, mind, task, wanted.seconds)
    note_flashes(flashed, found)


def note_flashes(flashed: Flashed, found: Found) -> None:
    """Take over what became of the flashes."""
    found.counts |= {"flashes": len(flashed.taken_ns), "flash underruns": flashed.underruns}
    for name, found_ns in (("photon", flashed.seen_ns), ("sample", flashed.heard_ns)):
        late_ns = flashed.late_ns(found_ns)
        found.counts[f"flashes found, {name}"] = len(late_ns)
        if late_ns:
            found.times.ns[f"frame to {name}"] = late_ns
        else:
            found.failed[f"frame to {name}"] = (
                f"none of {len(flashed.taken_ns)} flashes was found in time"
            )


_PARTS: dict[str, Callable[[Bundle, Wanted, Found], None]] = {
    "reflect": _measure_reflect,
    "screen": _measure_screen,
    "sound": _measure_sound,
    FLASH: _measure_flash,
}


def _say(what: str) -> None:
    """Tell a person who waits what is being measured."""
    if messages.is_terminal:
        messages.print(f"measuring {what} ...", markup=False)
