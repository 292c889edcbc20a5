"""What may be set, how a wrong setting is named, and which file or flag has the last word."""

from __future__ import annotations

import math
import os
import re
from datetime import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from ytm_bundle.errors import UsageError
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.settings.files import MAX_BYTES, MAX_LINE, parse_layer, read_layer
from ytm_device.settings.model import MirrorSettings, keys, sections, value_of
from ytm_device.settings.source import FLAGS, SettingsSource, nested
from ytm_device.wall_clock import Hours

TREE = Path(__file__).resolve().parents[2]
DEFAULTS = MirrorSettings()


@pytest.fixture
def source(tmp_path: Path) -> SettingsSource:
    """Both files may be put into an empty folder."""
    return SettingsSource(tmp_path / "base.toml", tmp_path)


def test_without_files_and_flags_everything_is_as_usual(source: SettingsSource) -> None:
    assert source.load() == DEFAULTS
    assert source.read() == (DEFAULTS, None)


def test_flags_are_over_what_was_changed_on_site_and_that_is_over_the_image(
    source: SettingsSource, tmp_path: Path
) -> None:
    source.base.write_text(
        '[sound]\nvolume_db = -1\nperiods = 6\npcm = "a"\n[hours]\nopen = "10:00-18:00"\n'
    )
    source.overlay.write_text('[sound]\nvolume_db = -2\npcm = ""\n')
    typed = SettingsSource(source.base, tmp_path, {"sound.volume_db": -3.0, "bundle": "b"})
    for read in (typed.load(), typed.read()[0]):
        assert (read.sound.volume_db, read.sound.periods, read.sound.pcm) == (-3, 6, None)
        assert read.hours.open == Hours(time(10), time(18))
        assert read.bundle == "b"
        assert read.sound.volume.master_db == -3
        assert read.screen == DEFAULTS.screen
    assert source.load().sound.volume_db == -2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sound]\nvolume_db = 99", "sound.volume_db = 99: give dB from -60 to 12"),
        ("[sound]\nvolume_db = nan", "sound.volume_db = nan: give dB from -60 to 12"),
        ('[sound]\nvolume_db = "1"', 'sound.volume_db = "1": give dB from -60 to 12'),
        ("[sound]\nperiods = 4.5", "sound.periods = 4.5: give whole periods from 2 to 64"),
        ("[sound]\nperiods = true", "sound.periods = true: give whole periods from 2 to 64"),
        ("[sound]\nstrike = 1", "sound.strike = 1: give true or false"),
        ("[screen]\nrotation = 45", "screen.rotation = 45: give 0, 90, 180 or 270"),
        ("[screen]\nrotation = false", "screen.rotation = false: give 0, 90, 180 or 270"),
        ('[camera]\nexposure = "x"', 'exposure = "x": give "auto", "locked" or "stepped"'),
        ("[hours]\nopen = 10", "hours.open = 10: give two different times, 00:00 to 23:59, as"),
        ('[hours]\nopen = "9-5"', 'hours.open = "9-5": give two different times'),
        ('[sound]\nnight = "8:00-8:00"', 'sound.night = "8:00-8:00": give two different'),
        ("bundle = 3", "bundle = 3: give printable text, at most 1024 characters"),
        (r'bundle = "a\u0000"', r'bundle = "a\u0000": give printable text'),
        ("[sound]\nvolume = 3", "sound.volume = 3: no such setting; [sound] has pcm, volume_db,"),
        ("[sond]\nvolume_db = 3", "sond = a table: no such setting or table; there are bundle,"),
        ("sound = 3", "sound = 3: write a table: [sound], and its keys below it"),
        ("[[sound]]\nstrike = true", "sound = a list: write a table: [sound]"),
        ("[light]\nlevel = 1\nlavel = 1", "light.level = 1: give true or false (and 1 more)"),
        ("[sound", "is no TOML (Expected ']'"),
        ("a = 1\na = 2", "is no TOML (Cannot overwrite a value"),
        ("a = [\n" + "[" * 1000, "is no TOML (brackets nested too deeply)"),
        ("a = " + "9" * 5000, "is no TOML (a line is over 1224 characters)"),
        ("[sound]\nperiods = 0x" + "9" * 1000, "sound.periods = a huge number: give whole"),
        ("a." * 20_000 + "a = 1", "is no TOML (a line is over 1224 characters)"),
        ("a." * 500 + "a = 1", "a = a table: no such setting or table"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_key_value_and_what_is_allowed(
    source: SettingsSource, text: str, message: str
) -> None:
    source.base.write_text("[sound]\nperiods = 6\n")
    source.overlay.write_text(text)
    with pytest.raises(UsageError) as caught:
        source.load()
    assert str(caught.value).startswith(f"{source.overlay}: ")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500
    assert source.read() == (
        MirrorSettings.model_validate({"sound": {"periods": 6}}),
        str(caught.value),
    )


def test_a_broken_image_falls_back_to_the_defaults_and_both_problems_are_told(
    source: SettingsSource,
) -> None:
    source.base.write_text("[sound]\nperiods = 1\nvolume_db = -5\n")
    source.overlay.write_text("[screen]\nrotation = 90\n")
    read, problem = source.read()
    assert problem is not None
    assert problem.startswith(f"{source.base}: sound.periods = 1")
    assert read == MirrorSettings.model_validate({"screen": {"rotation": 90}})
    source.overlay.write_text("?")
    read, problem = source.read()
    assert read == DEFAULTS
    assert problem is not None
    assert [str(path) in problem for path in (source.base, source.overlay)] == [True, True]


@pytest.mark.parametrize("kind", ["folder", "pipe", "huge", "latin", "device", "no right", "loop"])
def test_what_is_no_readable_file_is_named_and_holds_nobody_up(
    source: SettingsSource, kind: str
) -> None:
    path, message = source.overlay, "cannot be read"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
        message = "is no file"
    elif kind == "huge":
        path.write_text("#" * (MAX_BYTES + 1))
        message = "over 65536 bytes"
    elif kind == "latin":
        path.write_bytes(b'bundle = "caf\xe9"')
        message = "byte 13 is no UTF-8 text"
    elif kind == "device":
        path.symlink_to("/dev/zero")
        message = "is no file"
    elif kind == "no right":
        if os.geteuid() == 0:
            pytest.skip("root may read everything")
        path.touch(mode=0)
    else:
        path.symlink_to(path)
    with pytest.raises(UsageError, match=f"^{path}: {message}"):
        source.load()
    assert source.read()[0] == DEFAULTS
    assert str(path) in str(source.read()[1])


def test_a_file_of_the_greatest_size_is_read(source: SettingsSource) -> None:
    text = "[sound]\nperiods = 9\n"
    comment = "#" * (MAX_LINE - 1) + "\n"
    source.base.write_text((text + MAX_BYTES * comment)[:MAX_BYTES])
    assert source.load().sound.periods == 9


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"sound.volume_db": 20.0}, "--volume-db 20: give dB from -60 to 12"),
        ({"sound.volume_db": math.nan}, "--volume-db nan: give dB from -60 to 12"),
        ({"sound.night_volume_db": 0.1}, "--night-volume-db 0.1: give dB from -60 to 0"),
        ({"sound.night": "late"}, "--night late: give two different times"),
        ({"screen.rotation": 45}, "--rotation 45: give 0, 90, 180 or 270"),
    ],
)
def test_what_is_wrong_in_a_flag_is_named_by_the_flag(
    flags: dict[str, str | float], message: str
) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        SettingsSource(flags=flags)


def test_every_flag_is_for_a_key_that_there_is() -> None:
    assert set(FLAGS) <= set(keys())


def _ends(key: str) -> list[float]:
    marks = keys()[key].metadata
    return [
        end
        for mark in marks
        for end in (getattr(mark, "ge", None), getattr(mark, "le", None))
        if end is not None
    ]


@pytest.mark.parametrize("key", [key for key in keys() if _ends(key)])
def test_the_ends_of_a_range_are_allowed_and_nothing_beyond(key: str) -> None:
    least, most = _ends(key)
    kind = keys()[key].annotation
    assert kind in (int, float)
    step = 1 if kind is int else 1e-6
    for value in (least, most):
        assert value_of(MirrorSettings.model_validate(nested({key: kind(value)})), key) == value
    for value in (least - step, most + step):
        with pytest.raises(ValidationError):
            MirrorSettings.model_validate(nested({key: kind(value)}))


def test_settings_do_not_change_under_those_who_hold_them() -> None:
    for part in (DEFAULTS, *(getattr(DEFAULTS, name) for name in sections())):
        assert isinstance(part, BaseModel)
        with pytest.raises(ValidationError):
            setattr(part, next(iter(type(part).model_fields)), None)


def test_the_bundle_is_the_one_that_is_set_else_the_installed_one_else_the_demo(
    source: SettingsSource, tmp_path: Path
) -> None:
    assert source.bundle(DEFAULTS) == DEMO_BUNDLE
    (tmp_path / "bundle").mkdir()
    assert source.bundle(DEFAULTS) == tmp_path / "bundle"
    assert source.bundle(MirrorSettings(bundle="other.ytm")) == Path("other.ytm")


def test_the_example_that_is_installed_sets_nothing_and_names_every_key_with_its_default() -> None:
    path = TREE / "provisioning" / "mirror.toml"
    assert MirrorSettings.model_validate(read_layer(path)).model_fields_set <= set(sections())
    in_force = re.sub(r"^#(?! )", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    layer = parse_layer(in_force, path)
    named = {f"{name}.{key}" for name in sections() for key in layer[name]}
    assert named | {"bundle"} == set(keys())
    assert MirrorSettings.model_validate(layer) == DEFAULTS


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(
        st.binary(max_size=400),
        st.text("[]{}=\".'#,\n\\0123456789eabcsound_", max_size=200).map(str.encode),
    )
)
@example(b"[sound]\nvolume_db = 1e400")
@example(b"\xef\xbb\xbf[sound]")
@example(b"[sound]\nvolume_db = 1" + b"0" * 400)
def test_whatever_is_in_the_files_a_show_gets_settings(
    source: SettingsSource, content: bytes
) -> None:
    source.overlay.write_bytes(content)
    read, problem = source.read()
    assert isinstance(read, MirrorSettings)
    if problem is not None:
        assert read == DEFAULTS
        assert problem.startswith(f"{source.overlay}: ")
        assert len(problem) < 2000
