"""`ytm-benchmark`: what it reports, when it fails, and what it compares with."""

from __future__ import annotations

import io
import itertools
import json
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.manifest import SoundSpec, StreamInversion
from ytm_device.benchmark import command, costs, hops, machine
from ytm_device.benchmark.costs import GRAINS_NAME, GRAPH_NAME, STREAMS
from ytm_device.benchmark.report import KIND, VERSION, BoardState, Report
from ytm_device.benchmark.stages import STAGE_NAMES
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.sound.streaming import compiled

HOP_NS = round(4 * 128 / 48000 * 1e9)
"""Of the tiny bundle: a grain of five frames."""
SHORT_S = 0.3


@dataclass(frozen=True)
class Done:
    """How the command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def sound(tiny_bundle: Bundle) -> SoundSpec:
    return tiny_bundle.manifest.sound


def _run(*arguments: object) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["ytm-benchmark", *map(str, arguments)])
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            command.main()
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


Clock = Callable[[int], None]


@pytest.fixture
def hop_takes(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """`hop_takes(ns)`: each hop takes so long, by the clock that it is timed with."""

    def set_to(duration_ns: int) -> None:
        ticks = itertools.count(0, duration_ns)
        monkeypatch.setattr(hops, "perf_counter_ns", lambda: next(ticks))

    return set_to


@pytest.fixture
def quick(hop_takes: Clock) -> None:
    """No machine is too slow for the sound."""
    hop_takes(HOP_NS // 100)


def _sound(bundle: Path, *flags: object) -> Done:
    """Computing only: no card of this machine plays what a test makes."""
    return _run("sound", "--no-devices", "--bundle", bundle, "--seconds", SHORT_S, *flags)


def _data(bundle: Path, *flags: object) -> dict[str, Any]:
    done = _sound(bundle, "--json", *flags)
    assert done.returncode == 0, done.stderr
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def test_json_says_what_was_measured_where(
    quick: None, tiny_bundle: Bundle, sound: SoundSpec
) -> None:
    data = _data(tiny_bundle.folder)
    assert data["kind"] == KIND
    assert data["bundle"] == {"name": "tiny", "id": tiny_bundle.id}
    assert data["machine"]["numpy"] == np.__version__
    assert data["machine"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert data["machine"]["kernel_compiled"] is True
    assert data["machine"]["cores"] >= 1
    assert set(data["cpu_s_per_s"]) == {*STREAMS, GRAINS_NAME}
    for cost in data["cpu_s_per_s"].values():
        assert 0 < cost["least"] <= cost["median"] <= cost["most"]
    assert data["left_out"] == {"write": "--no-devices"}
    assert data["counts"]["samples a hop"] == 4 * sound.hop
    assert list(data["stages"]) == ["invert"]
    hop = data["stages"]["invert"]
    assert hop["budget"] == {"at": "p99", "ms": pytest.approx(HOP_NS / 1e6)}
    assert hop["count"] == -(-SHORT_S * 48000 // (4 * sound.hop))
    assert set(hop["ms"]) == {"p50", "p95", "p99", "max"}
    assert hop["ms"]["p99"] == pytest.approx(0.01 * HOP_NS / 1e6, rel=1e-3)
    assert hop["within"] is True


def test_numpy_costs_more_than_the_compiled_kernel(quick: None, tiny_bundle_path: Path) -> None:
    found = _data(tiny_bundle_path)["cpu_s_per_s"]
    assert found["stream in NumPy"]["least"] > 2 * found["stream"]["least"]


def test_people_get_tables(quick: None, tiny_bundle_path: Path) -> None:
    done = _sound(tiny_bundle_path)
    assert done.returncode == 0, done.stderr
    assert "CPU s per s of sound" in done.stdout
    assert "stream in NumPy" in done.stdout
    assert "p99" in done.stdout
    assert "compiled kernel" in done.stdout


@pytest.mark.parametrize(("share", "code"), [(0.99, 0), (1.01, 1)])
def test_it_fails_when_a_hop_takes_longer_than_it_lasts(
    share: float, code: int, hop_takes: Clock, tiny_bundle_path: Path
) -> None:
    hop_takes(round(share * HOP_NS))
    done = _sound(tiny_bundle_path, "--json")
    assert done.returncode == code
    hop = json.loads(done.stdout)["stages"]["invert"]
    assert hop["ms"]["p99"] == pytest.approx(share * HOP_NS / 1e6, rel=1e-3)
    assert hop["within"] is not bool(code)
    assert ("there will be gaps" in done.stderr) == bool(code)


def test_sound_that_cannot_be_streamed_is_said_and_left_out(
    quick: None, make_bundle: Callable[..., Path], sound: SoundSpec, tmp_path: Path
) -> None:
    path = make_bundle(tmp_path / "odd", sound=sound.model_copy(update={"hop": 100}))
    data = _data(path)
    assert set(data["cpu_s_per_s"]) == {GRAINS_NAME}
    assert set(data["left_out"]) == {*STREAMS, "write"}
    assert "hop 100 cannot be streamed" in data["left_out"]["stream"]
    told = _sound(path).stdout
    assert "zero: left out, hop 100" in told


def test_without_the_compiled_library_the_rest_is_measured(
    quick: None, tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (compiled, machine):
        monkeypatch.setattr(module, "LIBRARY", tmp_path / "none.so")
    data = _data(tiny_bundle_path)
    assert data["machine"]["kernel_compiled"] is False
    assert set(data["cpu_s_per_s"]) == {"stream in NumPy", GRAINS_NAME}
    assert "cannot be loaded" in data["left_out"]["quality"]


def test_short_mels_have_no_grains(
    quick: None, make_bundle: Callable[..., Path], sound: SoundSpec, tmp_path: Path
) -> None:
    inversion = StreamInversion(look_ahead_frames=0, iterations=1, updates=0)
    sound = sound.model_copy(update={"frames": 4, "inversion": inversion})
    data = _data(make_bundle(tmp_path / "short", sound=sound))
    assert data["left_out"][GRAINS_NAME] == "a mel has 4 frames, a grain takes 5"
    assert data["counts"]["samples a hop"] == sound.n_fft // 4


def test_a_bundle_that_has_its_inverter_as_a_graph_is_measured_by_it_too() -> None:
    with open_bundle(DEMO_BUNDLE) as bundle:
        methods, left_out = costs.methods_for(bundle)
        assert set(methods) == {*STREAMS, GRAPH_NAME, GRAINS_NAME}
        assert left_out == {}
        for name in (GRAPH_NAME, "stream"):
            methods[name].make()
        assert methods[GRAPH_NAME].samples == methods["stream"].samples


def test_methods_take_turns() -> None:
    turns: list[str] = []
    methods = {
        name: costs.Method(6000, lambda name=name: turns.append(name)) for name in ("one", "two")
    }
    found = costs.measure(methods, 48000, range(2))
    assert turns == (["one"] * 2 + ["two"] * 2) * 3
    assert set(found) == {"one", "two"}


def _old(bundle: Path, folder: Path) -> Path:
    path = folder / "old.json"
    path.write_text(json.dumps(_data(bundle)), encoding="utf-8")
    return path


def test_an_old_report_is_shown_beside_the_new_one(
    hop_takes: Clock, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    hop_takes(HOP_NS // 10)
    old = _old(tiny_bundle_path, tmp_path)
    hop_takes(HOP_NS // 5)
    data = _data(tiny_bundle_path, "--compare", old)
    then = json.loads(old.read_text(encoding="utf-8"))
    compared = data["compared"]["stream, CPU s per s"]
    assert compared["old"] == then["cpu_s_per_s"]["stream"]["median"]
    assert compared["new"] == data["cpu_s_per_s"]["stream"]["median"]
    assert data["compared"]["invert p99, ms"]["ratio"] == pytest.approx(2, rel=1e-3)
    assert data["differences"] == []
    told = _sound(tiny_bundle_path, "--compare", old).stdout
    assert "new / old" in told


def test_what_else_differs_is_said(quick: None, tiny_bundle_path: Path, tmp_path: Path) -> None:
    old = _old(tiny_bundle_path, tmp_path)
    then = json.loads(old.read_text(encoding="utf-8"))
    then["machine"]["cpu"] = "Abacus"
    del then["cpu_s_per_s"]["zero"]
    old.write_text(json.dumps(then), encoding="utf-8")
    done = _sound(tiny_bundle_path, "--compare", old)
    assert done.returncode == 0
    assert "not the same as then: CPU was Abacus" in done.stderr
    assert "zero, CPU s per s" not in done.stdout


def _report() -> dict[str, Any]:
    """A report with as little as possible in it."""
    times = dict.fromkeys(("p50", "p95", "p99", "max"), 0.5)
    state = {
        "temperatures_c": {},
        "clocks_mhz": {},
        "limits_mhz": {},
        "power_mode": None,
        "slowed": [],
        "throttles": 0,
    }
    data: dict[str, Any] = {
        "kind": KIND,
        "version": VERSION,
        "parts": ["sound"],
        "seconds": 1.0,
        "machine": {
            "youtube_mirror": "1",
            "python": "3",
            "numpy": "2",
            "cpu": "Abacus",
            "cores": 1,
            "load_1_min": 0.0,
            "kernel_compiled": True,
        },
        "versions": {},
        "bundle": {"name": "b", "id": "1"},
        "stages": {
            "invert": {
                "count": 1,
                "ms": times,
                "budget": {"at": "p99", "ms": 1.0},
                "within": True,
            }
        },
        "counts": {},
        "cpu_s_per_s": {"stream": {"median": 0.1, "least": 0.1, "most": 0.1}},
        "left_out": {},
        "board": {"before": state, "after": state, "load_1_min": 0.0, "throttled": []},
    }
    assert Report.model_validate(data)
    return data


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read (No such file"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (" " * (1 << 20) + "{}", "larger than 1048576 bytes"),
        ("[]", "its kind is None, not 'ytm-benchmark'"),
        ('{"kind": "somebody else\'s"}', 'its kind is "somebody else\'s"'),
        ('{"kind": "ytm-benchmark sound", "version": 1}', "version 1, which this ytm-benchmark"),
        (json.dumps(_report() | {"version": 3}), "version: Input should be 2"),
        (json.dumps(_report() | {"stages": {"invert": {}}}), "stages.invert.count: Field required"),
        (json.dumps(_report() | {"counts": {"frames": None}}), "counts.frames: Input should be"),
        (
            json.dumps(_report() | {"cpu_s_per_s": {"stream": {"median": 0, "least": 0}}}),
            "cpu_s_per_s.stream.median: Input should be greater than 0",
        ),
    ],
)
def test_a_file_of_another_kind_is_refused(
    text: str | None, words: str, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old.json"
    if text is not None:
        old.write_text(text, encoding="utf-8")
    done = _run("--bundle", tiny_bundle_path, "--compare", old)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"--compare {old}: " in done.stderr
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["taste"], "taste: nothing that can be measured; give all, reflect, screen, sound"),
        (["--seconds", "0"], "--seconds 0: give 0.1 to 600"),
        (["--seconds", "nan"], "--seconds nan: give 0.1 to 600"),
        (["--seconds", "601"], "--seconds 601: give 0.1 to 600"),
        (["--settings", "none.toml"], "--settings none.toml: no such file"),
        (["--budgets", "none.toml"], "none.toml: cannot be read (No such file"),
        (["--no-devices", "--camera", "nowhere.mp4"], "--camera nowhere.mp4: no video file"),
        (["--no-devices", "--pcm", "hw"], "--pcm hw: means nothing with --no-devices"),
    ],
)
def test_wrong_usage_exits_with_2(flags: list[str], words: str) -> None:
    done = _run(*flags)
    assert done.returncode == 2
    assert words in done.stderr


def test_no_bundle_is_one_line_and_exit_1(tmp_path: Path) -> None:
    done = _run("--no-devices", "--bundle", tmp_path / "none")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")


def test_help_names_every_flag() -> None:
    done = _run("--help")
    assert done.returncode == 0
    for flag in ("--bundle", "--seconds", "--json", "--compare", "--no-devices", "--budgets"):
        assert flag in done.stdout


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("processor\t: 0\nmodel name\t: Abacus 3\nmodel name\t: other\n", "Abacus 3"),
        ("processor : 0\nModel\t\t: Raspberry Pi 5\n", "Raspberry Pi 5"),
        ("processor : 0\nmodel name : \n", machine.platform.machine()),
    ],
)
def test_the_model_of_a_processor(text: str, model: str, tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(text, encoding="utf-8")
    assert machine.cpu_model(info) == model


def test_every_key_of_a_report_and_every_stage_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/benchmark.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([^`]+)`", page))
    assert set(Report.model_fields) <= documented
    assert set(BoardState.model_fields) <= documented
    assert set(STAGE_NAMES) <= documented
    assert f"`version` is {VERSION};" in page
