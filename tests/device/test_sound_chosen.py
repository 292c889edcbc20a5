"""The graph takes over from the kernel, and gives back, unheard; nothing but a report lets it."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from built_engines import build_engines
from waiting import HANG_S, wait_for
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.engines import REPORT_NAME, SoundWay
from ytm_bundle.manifest import StreamInversion
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.engines.own_thread import OwnThread
from ytm_device.settings.source import SettingsSource
from ytm_device.sound import service
from ytm_device.sound.streaming import chosen, graph_search
from ytm_device.sound.streaming.chosen import GRAPH, KERNEL, ChosenStream
from ytm_device.sound.streaming.graph_search import GraphSearch
from ytm_device.sound.streaming.reference import ReferenceStream
from ytm_device.sound.streaming.stream import step_s
from ytm_device.sound.streaming.tables import StreamTables
from ytm_device.status import read_status

WARM_HOPS = 60
"""More than it takes until the graph is heard alone."""


class PlantedStream(ReferenceStream):
    """Stands where the graph's engine would: it streams as the graph does, and fails when asked."""

    backend = "reference"

    def __init__(self, tables: StreamTables) -> None:
        super().__init__(tables)
        self.hop = tables.hop
        self.fail: Callable[[np.ndarray], object] = lambda out: None
        self.closed = False

    def push(self, power: np.ndarray, out: np.ndarray) -> None:
        super().push(power, out)
        self.fail(out)

    def close(self) -> None:
        self.closed = True


Planted = tuple[PlantedStream, Any]


@pytest.fixture(scope="module")
def demo() -> Iterator[Bundle]:
    with open_bundle(DEMO_BUNDLE) as bundle:
        yield bundle


@pytest.fixture(scope="module")
def tables(demo: Bundle) -> StreamTables:
    sound, inversion = demo.manifest.sound, demo.manifest.sound.inversion
    assert isinstance(inversion, StreamInversion)
    return StreamTables(sound, inversion, demo.mel_matrices())


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has other work too is none that fails."""
    monkeypatch.setattr(chosen, "LATEST_S", HANG_S)
    monkeypatch.setattr(chosen, "MOST_SHARE", np.inf)


@pytest.fixture
def stream(demo: Bundle, tables: StreamTables) -> ChosenStream:
    return ChosenStream(tables, step_s(demo.manifest.sound))


@pytest.fixture
def planted(tables: StreamTables) -> Iterator[Planted]:
    lodger = PlantedStream(tables)
    with OwnThread(lambda: lodger) as thread:
        assert thread.made.result(HANG_S) == "reference"
        yield lodger, thread
    assert lodger.closed


def _steady(demo: Bundle) -> np.ndarray:
    """Mel power, float32 (n_mels,), of a still."""
    return np.ascontiguousarray(demo.manifest.sound.unscale(demo.replay().mels)[0].mean(axis=1))


def _hops(stream: ChosenStream, power: np.ndarray, count: int) -> np.ndarray:
    """float32 (count, hop)."""
    hops = np.empty((count, stream.tables.hop), np.float32)
    for hop in hops:
        stream.push(power, hop)
    return hops


def _steps(hops: np.ndarray) -> float:
    """The largest step from one sample to the next."""
    return float(np.abs(np.diff(hops.ravel())).max())


def _loud(hops: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt((hops**2).mean(axis=1)))


def test_the_graph_takes_over_without_gap_or_click(
    demo: Bundle, stream: ChosenStream, planted: Planted
) -> None:
    power = _steady(demo)
    before = _hops(stream, power, WARM_HOPS)[20:]
    assert stream.way == KERNEL
    stream.take(planted[1])
    change = _hops(stream, power, WARM_HOPS)
    assert stream.problem is None
    assert stream.way == GRAPH
    # Two sounds of one mel, unlike in phase, are at times half as loud in between.
    assert _loud(change).min() > 0.25 * _loud(before).mean()
    assert _steps(change) < 1.5 * _steps(before)


def _raise(out: np.ndarray) -> None:
    raise ValueError("planted")


def _spoil(out: np.ndarray) -> None:
    out[7] = np.nan


@pytest.mark.parametrize(("fail", "told"), [(_raise, "planted"), (_spoil, "not finite")])
def test_a_graph_that_fails_is_left_without_a_click_and_with_a_reason(
    demo: Bundle,
    stream: ChosenStream,
    planted: Planted,
    fail: Callable[[np.ndarray], object],
    told: str,
) -> None:
    power = _steady(demo)
    stream.take(planted[1])
    before = _hops(stream, power, 2 * WARM_HOPS)[WARM_HOPS:]
    planted[0].fail = fail
    after = np.concatenate([before[-1:], _hops(stream, power, WARM_HOPS)])
    assert stream.way == KERNEL
    assert told in str(stream.problem)
    assert np.isfinite(after).all()
    assert _steps(after) < 1.5 * _steps(before)
    quiet = np.flatnonzero(_loud(after) < 0.1 * _loud(before).mean())
    longest_s = len(quiet) * step_s(demo.manifest.sound)
    assert longest_s < 0.05, "of sound that is not there; 0.1 s may never be"


def test_a_graph_that_does_not_come_back_or_is_slow_is_left(
    demo: Bundle,
    stream: ChosenStream,
    planted: Planted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    power, goes_on = _steady(demo), threading.Event()
    stream.take(planted[1])
    _hops(stream, power, WARM_HOPS)
    monkeypatch.setattr(chosen, "LATEST_S", 0.01)
    planted[0].fail = lambda out: goes_on.wait(HANG_S)
    _hops(stream, power, 2)
    assert "no hop within" in str(stream.problem)
    assert stream.way == KERNEL
    goes_on.set()
    monkeypatch.setattr(chosen, "LATEST_S", HANG_S)
    monkeypatch.setattr(chosen, "MOST_SHARE", 0.0)
    stream.take(planted[1])
    assert stream.problem is None
    _hops(stream, power, 1)
    assert "slow" in str(stream.problem)


@pytest.fixture(scope="module")
def engines(demo: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of engines for this processor, whose graph is said to be the better way."""
    data = tmp_path_factory.mktemp("data")
    build_engines(demo, data / "engines", sound=SoundWay(graph=True, why="said by this test"))
    return data


def _copied(engines: Path, to: Path) -> Path:
    shutil.copytree(engines / "engines", to / "engines")
    return next((to / "engines").glob("*/" + REPORT_NAME)).parent


def _searched(
    demo: Bundle, data: Path, stream: ChosenStream, until: Callable[[dict[str, Any]], Any]
) -> dict[str, Any]:
    """Look until the fields are such; between two looks for engines no time passes."""
    now_ns = 0
    with GraphSearch(demo, data, data, "auto", stream) as search:

        def found() -> bool:
            nonlocal now_ns
            if search.idle:
                now_ns += 11_000_000_000
            search.look(now_ns)
            _hops(stream, _steady(demo), 3)
            return bool(until(search.fields))

        wait_for(found)
        return dict(search.fields)


def test_engines_whose_report_says_so_stream(
    demo: Bundle, engines: Path, stream: ChosenStream
) -> None:
    fields = _searched(demo, engines, stream, lambda said: said["inverter"] == GRAPH)
    assert str(engines) in str(fields["inverter_why"])


def test_damaged_engines_are_named_and_the_kernel_streams(
    demo: Bundle, engines: Path, stream: ChosenStream, tmp_path: Path
) -> None:
    with (_copied(engines, tmp_path) / "inverter.engine").open("r+b") as file:
        file.write(b"?")
    fields = _searched(
        demo, tmp_path, stream, lambda said: "inverter.engine" in said["inverter_why"]
    )
    assert fields["inverter"] == KERNEL


def test_a_report_of_another_machine_lets_nothing_stream_here(
    demo: Bundle, engines: Path, tmp_path: Path
) -> None:
    """Its folder has another name, which is that of no key of this machine."""
    folder = _copied(engines, tmp_path)
    found = graph_search._paying(demo, tmp_path, tmp_path, "auto")
    assert found is not None
    assert wait_for(found.newcomer).folder == folder
    folder.rename(folder.with_name("0" * len(folder.name)))
    assert graph_search._paying(demo, tmp_path, tmp_path, "auto") is not None
    assert found.newcomer() is None


@pytest.mark.parametrize("text", ["", "{", '{"sound": {"graph": true}}'])
def test_a_broken_report_is_none(
    demo: Bundle, engines: Path, stream: ChosenStream, tmp_path: Path, text: str
) -> None:
    (_copied(engines, tmp_path) / REPORT_NAME).write_text(text)
    assert graph_search._paying(demo, tmp_path, tmp_path, "auto") is None


def test_a_report_for_the_kernel_loads_nothing(
    demo: Bundle, engines: Path, stream: ChosenStream, tmp_path: Path
) -> None:
    path = _copied(engines, tmp_path) / REPORT_NAME
    report = json.loads(path.read_text())
    report["sound"]["graph"] = False
    path.write_text(json.dumps(report))
    assert graph_search._paying(demo, tmp_path, tmp_path, "auto") is None


def test_the_service_changes_over_and_says_so(
    demo: Bundle, engines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _copied(engines, tmp_path)
    stop = threading.Event()
    source = SettingsSource(tmp_path / "none.toml", tmp_path, {"bundle": str(DEMO_BUNDLE)})
    thread = threading.Thread(
        target=service.run, args=(source, tmp_path, stop), kwargs={"headless": True}
    )
    thread.start()
    try:
        status = wait_for(
            lambda: (s := read_status(tmp_path, "sound")).get("inverter") == GRAPH and s
        )
    finally:
        stop.set()
        thread.join(HANG_S)
    assert not thread.is_alive()
    assert status["restarts"] == 0
    assert isinstance(status["samples"], int)
    assert status["samples"] > 0
    assert str(tmp_path) in str(status["inverter_why"])
