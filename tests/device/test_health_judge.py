"""Health is judged: each finding is provoked alone, and no nonsense makes it stumble."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthy import answers, unit_lines, units, well
from ytm_device.health import limits
from ytm_device.health.ask_systemd import read_units
from ytm_device.health.examine import Report, judge
from ytm_device.health.findings import KINDS, Finding, Level, by_badness, worst
from ytm_device.health.report import as_data, as_metrics, as_text, headline
from ytm_device.health.said import SERVICES
from ytm_device.options import SERVICES as SERVICES_THAT_RUN
from ytm_device.recent import RECENT_S

NOW_NS = 10**15
DISKS = {"run": Path("/run/ytm"), "data": Path("/data")}
S = 10**9
NO_UNITS = {"booted": True, "printed": ""}


def judged(told: dict[str, Any]) -> Report:
    return judge(told, DISKS, NOW_NS)


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def test_services_are_called_as_they_are_started() -> None:
    assert SERVICES == SERVICES_THAT_RUN


def test_a_mirror_that_is_well_is_ok() -> None:
    report = judged(answers(NOW_NS))
    assert codes(report) == []
    assert report.level is Level.OK
    assert headline(report) == "YTM OK - mirrors somebody, 30.0 reflections a second"


SAID = [
    ("service.silent", "reflect", {"written_ns": NOW_NS - 6 * S}),
    ("service.stuck", "sound", {"progress_ns": NOW_NS - 11 * S}),
    ("service.stuck", "sound", {"progress_ns": NOW_NS + 11 * S}),
    ("service.stuck", "sound", {"progress_ns": None}),
    ("service.starting", "screen", {"progress_ns": None, "started_ns": NOW_NS - S}),
    ("service.unreadable", "reflect", {"written_ns": NOW_NS + 5 * S}),
    ("service.unreadable", "reflect", {"written_ns": "now"}),
    ("service.unreadable", "reflect", {"progress_ns": -5}),
    ("service.unreadable", "reflect", {"started_ns": float("nan")}),
    ("service.unreadable", "reflect", {"mode": "party"}),
    ("service.incomplete", "reflect", {"frame_age_ms": "old"}),
    ("service.incomplete", "reflect", {"dark_share": [0.1]}),
    ("service.incomplete", "sound", {"underruns": -1}),
    ("service.incomplete", "sound", {"gain_db": float("inf")}),
    ("service.incomplete", "screen", {"frames_per_s": True}),
    ("service.incomplete", "screen", {"frames_per_s": 10**400}),
    ("service.incomplete", "screen", {"clock_is_needed": 3}),
    ("service.problem", "reflect", {"problem": "the camera was unplugged"}),
    ("service.descriptors", "screen", {"descriptors": 600}),
    ("settings.problem", "sound", {"settings_problem": "mirror.toml: sound.volume_db 99"}),
    ("control.problem", "sound", {"control_problem": "sound.sock: no room"}),
    ("bundle.problem", "sound", {"bundle_problem": "bundle: manifest.json: damaged"}),
    ("clock.unset", "sound", {"clock_is_set": False}),
    ("bundle.differs", "screen", {"bundle": "another"}),
    ("bus.rejected", "screen", {"rejected_messages_recent": 1000}),
    ("frame.none", "reflect", {"frame_age_ms": None}),
    ("frame.old", "reflect", {"frame_age_ms": 1500}),
    ("frame.old", "reflect", {"frame_age_ms": 1500, "mode": "replay"}),
    ("reflect.slow", "reflect", {"reflections_per_s": 9.5}),
    ("reflect.bad_answers", "reflect", {"bad_answers_recent": 1000}),
    ("latency.high", "screen", {"frame_to_screen_p95_ms": 90}),
    ("latency.high", "sound", {"frame_to_sound_p95_ms": 90}),
    ("engine.on_cpu", "reflect", {"backend": "ONNX Runtime 1.23 (CPU)"}),
    ("camera.unsteady", "reflect", {"camera_recoveries_recent": 30}),
    ("light.dark", "reflect", {"dark_share": 0.9}),
    ("light.bright", "reflect", {"bright_share": 0.9}),
    ("presence.stuck", "reflect", {"presence_since_ns": NOW_NS - 7 * 3600 * S}),
    ("sound.no_card", "sound", {"sink": "none (clock)", "problem": "no card"}),
    ("sound.muted", "sound", {"muted": True}),
    ("sound.turned_down", "sound", {"gain_db": None}),
    ("sound.underruns", "sound", {"underruns_recent": 50}),
    ("sound.not_urgent", "sound", {"real_time": False}),
    (
        "sound.not_urgent",
        "sound",
        {"real_time": False, "real_time_why_not": "the sound takes 97% of its processor"},
    ),
    ("sound.not_locked", "sound", {"memory_locked": False}),
    ("card.unsteady", "sound", {"card_losses_recent": 50}),
    ("screen.no_display", "screen", {"driver": None, "problem": "no display is connected"}),
    ("screen.no_display", "screen", {"driver": "none", "problem": "no display is connected"}),
    ("screen.slow", "screen", {"frames_per_s": 4}),
    ("memory.growing", "reflect", {"memory_kib": 199_000 + 50_000}),
    ("watchdog.unarmed", "reflect", {"watchdog_s": None}),
]


@pytest.mark.parametrize(("code", "service", "change"), SAID)
def test_what_a_service_says_is_found_wrong(code: str, service: str, change: dict) -> None:
    report = judged(answers(NOW_NS, **{service: change}))
    assert codes(report) == [code]
    assert report.level is KINDS[code].level


def test_the_clock_need_not_be_set_where_nothing_depends_on_it() -> None:
    change = {"clock_is_set": False, "clock_is_needed": False}
    assert codes(judged(answers(NOW_NS, **dict.fromkeys(SERVICES, change)))) == []


def test_somebody_who_is_always_there_need_not_leave() -> None:
    change = {"presence_since_ns": 0, "presence_always": True}
    assert codes(judged(answers(NOW_NS, reflect=change))) == []


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in answers(NOW_NS).items() if key != name}


def unit_of(service: str, **changes: object) -> dict[str, Any]:
    return {"systemd": {"booted": True, "printed": units(NOW_NS, **{service: changes})}}


def at_heat(**changes: object) -> dict[str, Any]:
    return {"heat": {**answers(NOW_NS)["heat"], **changes}}


def at_board(**changes: object) -> dict[str, Any]:
    return {"board": {**answers(NOW_NS)["board"], **changes}}


def at_data(**changes: object) -> dict[str, Any]:
    return {"data": {**answers(NOW_NS)["data"], **changes}}


UNSAID = {"fields": None, "unreadable": None, "process": None}
FAILED = {"ActiveState": "failed", "Result": "watchdog"}
STALE = {**UNSAID, "fields": well("sound", NOW_NS, written_ns=NOW_NS - 60 * S)}
YOUNG = {**UNSAID, "fields": well("sound", NOW_NS, started_ns=NOW_NS - 5 * S)}
PLANTED = [
    ("service.missing", {"sound": UNSAID}),
    ("service.starting", {"sound": UNSAID, **unit_of("sound", ActiveState="activating")}),
    ("service.failed", {"sound": UNSAID, **unit_of("sound", **FAILED)}),
    ("service.failed", {"sound": STALE, **unit_of("sound", **FAILED)}),
    ("service.unreadable", {"sound": {**UNSAID, "unreadable": "Permission denied"}}),
    ("service.restarted", {"sound": YOUNG, **unit_of("sound", NRestarts=3)}),
    ("watchdog.unarmed", unit_of("screen", WatchdogUSec="0")),
    ("watchdog.unarmed", unit_of("screen", WatchdogUSec="infinity")),
    ("watchdog.unarmed", unit_of("screen", WatchdogTimestampMonotonic=0)),
    ("board.replay_only", at_board(replay_only="3 starts came quickly one after the other")),
    ("root.unchecked", at_board(root={"overlay": False, "checked": True})),
    ("root.unchecked", at_board(root={"overlay": True, "checked": False})),
    ("watchdog.board", at_board(watchdog=None)),
    ("watchdog.board", at_board(watchdog={"state": "inactive"})),
    ("watchdog.board", at_board(watchdog={"state": None})),
    ("systemd.silent", {"systemd": {"booted": True, "printed": None}}),
    ("memory.short", at_board(memory_free_percent=3.0)),
    ("board.hot", at_heat(temperatures_c={"cpu": 90.0, "gpu": 50.0})),
    ("board.too_hot", at_heat(temperatures_c={"cpu": 50.0, "gpu": 98.0})),
    ("board.throttled", at_heat(slowed=["cpu-throttle"])),
    ("board.overcurrent", at_heat(overcurrents=4)),
    ("disk.missing", {"data": None}),
    ("disk.read_only", at_data(read_only=True)),
    ("disk.low", at_data(free_percent=3.0)),
    ("disk.full", at_data(free_percent=0.2)),
]
HUNG = [
    ("service.unreadable", "sound"),
    ("systemd.silent", "systemd"),
    ("board.unreadable", "board"),
    ("board.unreadable", "heat"),
    ("disk.hangs", "run"),
    ("disk.hangs", "data"),
]


@pytest.mark.parametrize(("code", "change"), PLANTED)
def test_what_systemd_and_the_board_say_is_found_wrong(code: str, change: dict) -> None:
    report = judged({**answers(NOW_NS), **change})
    assert codes(report) == [code]
    assert report.level is KINDS[code].level


@pytest.mark.parametrize(("code", "name"), HUNG)
def test_what_hangs_is_found(code: str, name: str) -> None:
    assert codes(judged(without(name))) == [code]


def test_where_there_are_neither_services_nor_units_nothing_is_known() -> None:
    told = {**answers(NOW_NS), **dict.fromkeys(SERVICES, UNSAID), "systemd": NO_UNITS}
    report = judged(told)
    assert codes(report) == ["mirror.absent"]
    assert report.level is Level.UNKNOWN


@pytest.mark.parametrize(
    "systemd", [{"booted": True, "printed": units(NOW_NS)}, {"booted": True, "printed": None}]
)
def test_where_units_are_or_may_be_but_no_services_the_room_is_dark(systemd: dict) -> None:
    told = {**answers(NOW_NS), **dict.fromkeys(SERVICES, UNSAID), "systemd": systemd}
    report = judged(told)
    assert codes(report)[:3] == ["service.missing"] * 3
    assert report.level is Level.CRITICAL


def test_every_finding_that_there_can_be_is_provoked_and_says_what_to_do() -> None:
    provoked = {code for code, *_ in [*SAID, *PLANTED, *HUNG]} | {"mirror.absent"}
    # These two are provoked by running the command.
    assert provoked | {"mirror.unjudged", "prometheus.unwritten"} == set(KINDS)
    for code, kind in KINDS.items():
        assert kind.level is not Level.OK
        assert len(kind.remedy) > 15, code


def test_the_remedy_names_what_it_is_about() -> None:
    (finding,) = judged(answers(NOW_NS, sound={"progress_ns": None})).findings
    assert "systemctl restart ytm-sound" in finding.remedy
    (finding,) = judged({**answers(NOW_NS), **at_data(free_percent=3.0)}).findings
    assert "du -xhd2 /data" in finding.remedy


def test_in_closed_hours_nothing_need_be_seen_or_heard() -> None:
    idle = {"mode": "idle"}
    changes = {
        "reflect": {**idle, "frame_age_ms": None, "reflections_per_s": 0.0, "dark_share": 1.0},
        "sound": {**idle, "sink": "none (clock)", "gain_db": None, "muted": True},
        "screen": {**idle, "driver": None, "frames_per_s": 0.0, "problem": "switched off"},
    }
    report = judged(answers(NOW_NS, **changes))
    assert codes(report) == []
    assert headline(report) == "YTM OK - closed; everything is ready"


def test_in_closed_hours_a_service_need_not_speak_of_what_it_let_go() -> None:
    told = answers(NOW_NS, reflect={"mode": "idle"})
    del told["reflect"]["fields"]["camera_recoveries"]
    assert codes(judged(told)) == []
    told["reflect"]["fields"]["mode"] = "mirror"
    assert codes(judged(told)) == ["service.incomplete"]


def test_in_closed_hours_a_service_still_has_to_move() -> None:
    change = {"mode": "idle", "progress_ns": NOW_NS - 60 * S}
    assert codes(judged(answers(NOW_NS, screen=change))) == ["service.stuck"]


def test_while_nobody_is_there_few_reflections_are_no_fault() -> None:
    change = {"mode": "replay", "presence": False, "reflections_per_s": 0.0}
    report = judged(answers(NOW_NS, reflect=change, screen={"mode": "replay", "frames_per_s": 1}))
    assert codes(report) == []
    assert headline(report) == "YTM OK - replay; nobody is there, and everything is ready"


def test_a_mirror_that_just_began_may_lack_much() -> None:
    young = {"started_ns": NOW_NS - 5 * S, "memory_at_start_ns": None, "bundle": "another"}
    change = {**young, "frame_age_ms": None, "reflections_per_s": 1.0, "memory_kib": 10**6}
    assert codes(judged(answers(NOW_NS, reflect=change))) == []


def underruns(count: int, **changes: object) -> list[str]:
    return codes(judged(answers(NOW_NS, sound={"underruns_recent": count, **changes})))


def test_a_rate_is_of_what_happened_lately() -> None:
    enough = int(limits.RATE_PER_H * RECENT_S / 3600)
    assert underruns(enough) == []
    assert underruns(enough + 1) == ["sound.underruns"]
    assert underruns(2, recent_s=120.0) == []
    assert underruns(3, recent_s=120.0) == ["sound.underruns"]
    assert underruns(0, underruns=10_000) == [], "it has long been over"
    assert underruns(40, started_ns=NOW_NS - 10 * 24 * 3600 * S) == ["sound.underruns"]


def test_memory_grows_since_it_was_first_looked_at() -> None:
    grown = 199_000 + round(limits.MEMORY_SLOPE_KIB_PER_H)

    def found(since_s: float, memory_kib: int) -> list[str]:
        change = {"memory_at_start_ns": NOW_NS - round(since_s * S), "memory_kib": memory_kib}
        return codes(judged(answers(NOW_NS, screen=change)))

    assert found(3600, grown) == []
    assert found(3600, grown + 200) == ["memory.growing"], "the time before is none of growing"
    assert found(3599, 10 * grown) == []
    assert found(24 * 3600, grown + 200) == []


def test_a_process_that_is_stopped_is_said_to_be() -> None:
    told = {**answers(NOW_NS), "sound": {**STALE, "process": "is stopped"}}
    assert judged(told).findings[0].what == "has said nothing for 60 s; its process is stopped"


def test_a_service_is_named_once() -> None:
    change = {"driver": "none", "problem": "screen: no display found"}
    assert judged(answers(NOW_NS, screen=change)).findings[0].what == "no display found"


def test_what_was_seen_weighs_more_than_what_was_not() -> None:
    levels = [[], ["mirror.absent"], ["mirror.absent", "light.dark"], ["light.dark", "disk.full"]]
    found = [[Finding(code, "x", "y") for code in each] for each in levels]
    assert [worst(each) for each in found] == [0, 3, 1, 2]
    assert [each.code for each in by_badness(found[3])] == ["disk.full", "light.dark"]


@pytest.mark.parametrize(
    ("text", "watchdog_s"),
    [("10s", 10), ("1min 30s", 90), ("500ms", 0.5), ("1.5s", 1.5), ("0", None), ("infinity", None)],
)
def test_time_spans_are_read_as_systemd_prints_them(text: str, watchdog_s: float | None) -> None:
    unit = read_units(unit_lines("sound", 0, WatchdogUSec=text))["sound"]
    assert unit.watchdog_s == watchdog_s


def test_units_that_are_not_loaded_are_none() -> None:
    assert read_units(unit_lines("sound", 0, LoadState="not-found")) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = sorted({key for name in SERVICES for key in well(name, 0)})
FIELDS = st.dictionaries(st.sampled_from(KEYS), JSON) | st.dictionaries(st.text(), JSON)
PERFORMANCE = re.compile(
    r"[a-zA-Z0-9_]+=-?[\d.]+(c|%|s|ms|KB)?(;[-~:.\d]*)?(;[-~:.\d]*)?(;[\d.]*)?(;[\d.]*)?"
)
METRIC = re.compile(
    r'(# (HELP|TYPE) ytm_\w+ .+|ytm_\w+(\{\w+="[^"\n]*"(,\w+="[^"\n]*")*\})? -?[\d.]+)'
)


def _check_forms(report: Report) -> None:
    """The report can be read by all who read it."""
    first = as_text(report).split("\n")[0]
    human, _, performance = first.partition("|")
    assert human.startswith(f"YTM {report.level.name} - ")
    for word in performance.split():
        assert PERFORMANCE.fullmatch(word), word
    for line in as_metrics(report).splitlines():
        assert METRIC.fullmatch(line), line
    assert json.loads(json.dumps(as_data(report), allow_nan=False))["exit_code"] == report.level


@settings(deadline=None)
@given(change=FIELDS, service=st.sampled_from(SERVICES), all_well=st.booleans())
def test_whatever_a_service_says_is_judged(change: dict, service: str, all_well: bool) -> None:
    told = answers(NOW_NS)
    told[service]["fields"] = {**told[service]["fields"], **change} if all_well else change
    _check_forms(judged(told))


@settings(deadline=None)
@given(printed=st.text() | st.dictionaries(st.text(), st.text()).map(str))
def test_whatever_systemctl_prints_is_judged(printed: str) -> None:
    _check_forms(judged({**answers(NOW_NS), "systemd": {"booted": True, "printed": printed}}))


@settings(deadline=None)
@given(names=st.sets(st.sampled_from(sorted(answers(0)))))
def test_whatever_hangs_together_is_judged(names: set[str]) -> None:
    _check_forms(judged({k: v for k, v in answers(NOW_NS).items() if k not in names}))


def test_words_from_outside_cannot_break_a_line() -> None:
    problem = "camera | gone\nOK: all is well\x1b[2J" + "x" * 5000
    report = judged(answers(NOW_NS, reflect={"problem": problem}))
    _check_forms(report)
    first = as_text(report).split("\n")[0]
    assert "camera gone OK: all is well" in first.split("|")[0]
    assert "\x1b" not in as_text(report)
    assert len(first) < 2000
