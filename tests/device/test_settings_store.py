"""A setting changed on site: kept whole, safe, and apart from what others change meanwhile."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from waiting import HANG_S
from ytm_bundle import files
from ytm_bundle.errors import UsageError, YtmError
from ytm_device.settings import store
from ytm_device.settings.files import MAX_BYTES, read_layer
from ytm_device.settings.model import keys
from ytm_device.settings.store import set_key, unset_key

BY_HAND = """\
# Changed by Ana, 3 May.
bundle = "/data/ytm/spring.ytm"   # until June

[sound]   # too loud for the neighbours
volume_db = -6.0
pcm = "hw:1"
"""


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    return tmp_path / "mirror.toml"


@pytest.mark.parametrize(
    ("key", "typed", "kept"),
    [
        ("sound.volume_db", "-3", -3),
        ("sound.volume_db", "-3.5", -3.5),
        ("sound.strike", "false", False),
        ("sound.periods", "6", 6),
        ("screen.rotation", "90", 90),
        ("hours.open", "10:00-18:00", "10:00-18:00"),
        ("camera.device", "demo", "demo"),
        ("camera.device", '"demo"', "demo"),
        ("sound.pcm", "3", "3"),
        ("sound.pcm", "true", "true"),
        ("sound.pcm", "", ""),
        ("sound.pcm", "hw:CARD=a,DEV=3", "hw:CARD=a,DEV=3"),
        ("bundle", "/data/é.ytm", "/data/é.ytm"),
    ],
)
def test_a_value_is_kept_as_it_was_meant(overlay: Path, key: str, typed: str, kept: object) -> None:
    assert set_key(overlay, key, typed) == kept
    layer = read_layer(overlay)
    section, _, name = key.rpartition(".")
    assert (layer[section] if section else layer) == {name: kept}
    assert oct(overlay.stat().st_mode)[-3:] == "644"
    assert [path.name for path in overlay.parent.iterdir()] == ["mirror.toml"]


def test_comments_and_everything_else_stay(overlay: Path) -> None:
    overlay.write_text(BY_HAND)
    set_key(overlay, "sound.volume_db", "-9")
    assert overlay.read_text() == BY_HAND.replace("-6.0", "-9")
    set_key(overlay, "screen.rotation", "90")
    assert overlay.read_text().startswith(BY_HAND.replace("-6.0", "-9"))
    unset_key(overlay, "screen.rotation")
    unset_key(overlay, "bundle")
    assert read_layer(overlay) == {"sound": {"volume_db": -9, "pcm": "hw:1"}, "screen": {}}


def test_what_is_not_set_can_be_unset(overlay: Path) -> None:
    unset_key(overlay, "sound.pcm")
    unset_key(overlay, "bundle")
    assert read_layer(overlay).get("sound", {}) == {}


@pytest.mark.parametrize(
    ("key", "typed", "message"),
    [
        ("sound.volume_db", "99", "sound.volume_db 99: give dB from -60 to 12"),
        ("sound.volume_db", "loud", "sound.volume_db loud: give dB from -60 to 12"),
        ("sound.volume_db", "[1]", "sound.volume_db [1]: give dB from -60 to 12"),
        ("sound.volume_db", "1\nbundle = 3", "sound.volume_db 1\nbundle = 3: give dB"),
        ("screen.rotation", "45", "screen.rotation 45: give 0, 90, 180 or 270"),
        ("sound.pcm", "a\0b", "sound.pcm a\0b: give printable text"),
        ("sound.pcm", "x" * 2000, "give printable text, at most 1024 characters"),
        ("volume_db", "1", "volume_db: no such setting or table; there are bundle, camera"),
        ("sound", "1", "sound: write a table"),
        ("sound.volume_db.x", "1", "sound.volume_db.x: no such setting"),
        ("", "1", ": no such setting or table"),
        ("sound.loudness", "1", "sound.loudness: no such setting; [sound] has pcm, volume_db"),
    ],
)
def test_what_cannot_be_set_changes_nothing(
    overlay: Path, key: str, typed: str, message: str
) -> None:
    overlay.write_text(BY_HAND)
    with pytest.raises(UsageError) as caught:
        set_key(overlay, key, typed)
    assert message in str(caught.value)
    assert overlay.read_text() == BY_HAND


@pytest.mark.parametrize("text", ["[sound", "[sound]\nvolume_db = 99", "\xff"])
def test_a_file_that_is_wrong_already_is_left_as_it_is(overlay: Path, text: str) -> None:
    overlay.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=f"^{overlay}: "):
        set_key(overlay, "sound.periods", "6")
    assert overlay.read_text(encoding="latin-1") == text


@pytest.mark.parametrize(
    "text",
    [
        "sound.volume_db = 1\n",
        "sound = {volume_db = 1}\n",
        "\"sound\".'volume_db' = 1\n",
        "[ sound ]\nvolume_db = 1\n",
        "\ufeff[sound]\r\nvolume_db = 1\r\n",
        "[screen]\n[sound]\nvolume_db = 1\n[light]\n",
        "# only a comment",
    ],
)
def test_however_it_was_written_it_can_be_changed(overlay: Path, text: str) -> None:
    overlay.write_bytes(text.encode())
    before = read_layer(overlay)
    set_key(overlay, "sound.volume_db", "2")
    set_key(overlay, "bundle", "b")
    set_key(overlay, "hours.fade_s", "1")
    wanted = {**before, "sound": {"volume_db": 2}, "bundle": "b", "hours": {"fade_s": 1}}
    assert read_layer(overlay) == wanted


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.sampled_from(
            [
                *(("sound.volume_db", value) for value in ("-3", "1.5", None)),
                *(("sound.pcm", value) for value in ("# no comment", '"', "\\", "'''", None)),
                *(("bundle", value) for value in ("a = 1", "[sound]", "é", None)),
                *(("screen.rotation", value) for value in ("90", None)),
            ]
        ),
        max_size=12,
    )
)
def test_the_last_change_of_each_key_is_the_one_that_is_read(
    overlay: Path, changes: list[tuple[str, str | None]]
) -> None:
    overlay.write_text("")
    last: dict[str, object] = {}
    for key, typed in changes:
        if typed is None:
            unset_key(overlay, key)
            last.pop(key, None)
        else:
            last[key] = set_key(overlay, key, typed)
    layer = read_layer(overlay)
    flat = {
        **{name: value for name, value in layer.items() if not isinstance(value, dict)},
        **{
            f"{name}.{key}": value
            for name, part in layer.items()
            if isinstance(part, dict)
            for key, value in part.items()
        },
    }
    assert flat == last


def test_the_value_is_on_the_disk_before_it_takes_its_place_and_the_name_before_the_answer(
    overlay: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        happened.append(f"fsync {'folder' if path == overlay.parent else 'file'}")
        real_sync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        assert "rotation = 90" in self.read_text()
        happened.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(files.os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    set_key(overlay, "screen.rotation", "90")
    assert happened == ["fsync file", "rename", "fsync folder"]


def test_two_at_once_lose_nothing(overlay: Path) -> None:
    """Four processes, each setting keys of its own many times."""
    numbers = [
        "sound.volume_db",
        "sound.night_volume_db",
        "sound.ceiling_dbfs",
        "sound.loudness_lufs",
    ]
    program = (
        "import sys; from pathlib import Path\n"
        "from ytm_device.settings.store import set_key\n"
        "for n in range(10): set_key(Path(sys.argv[1]), sys.argv[2], str(-n))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(overlay), key]) for key in numbers
    ]
    assert [process.wait(HANG_S) for process in processes] == [0] * len(numbers)
    assert read_layer(overlay) == {"sound": {key.split(".")[1]: -9 for key in numbers}}
    assert [path.name for path in overlay.parent.iterdir()] == ["mirror.toml"]


def test_who_holds_the_folder_for_ever_is_not_waited_for_for_ever(
    overlay: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_S", 0.1)
    descriptor = os.open(overlay.parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(YtmError, match="others have been changing settings"):
        set_key(overlay, "sound.periods", "6")
    os.close(descriptor)
    set_key(overlay, "sound.periods", "6")


def test_without_the_data_folder_nothing_is_made_in_its_place(tmp_path: Path) -> None:
    overlay = tmp_path / "not mounted" / "mirror.toml"
    with pytest.raises(YtmError, match=r"not mounted: settings cannot be kept there .*--data"):
        set_key(overlay, "sound.periods", "6")
    assert not overlay.parent.exists()


def test_a_file_that_would_be_too_long_to_read_again_is_not_written(overlay: Path) -> None:
    line = "#" * 63 + "\n"
    overlay.write_text(line * (MAX_BYTES // len(line)))
    before = overlay.read_text()
    with pytest.raises(UsageError, match="would be over 65536 bytes"):
        set_key(overlay, "sound.periods", "6")
    assert overlay.read_text() == before


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, timeout=HANG_S).returncode:
        pytest.skip("may not mount a file system here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=HANG_S)


def test_on_a_full_disk_the_old_file_stays(mounted: Path) -> None:
    overlay = mounted / "mirror.toml"
    overlay.write_text(BY_HAND)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        (mounted / "full").write_bytes(bytes(1 << 20))
    with pytest.raises(YtmError, match=f"{overlay}: cannot be written .No space left on device"):
        set_key(overlay, "sound.volume_db", "-9")
    assert overlay.read_text() == BY_HAND
    assert sorted(path.name for path in mounted.iterdir()) == ["full", "mirror.toml"]
    (mounted / "full").unlink()
    set_key(overlay, "sound.volume_db", "-9")
    assert overlay.read_text() == BY_HAND.replace("-6.0", "-9")


def test_on_a_read_only_disk_the_old_file_stays(mounted: Path) -> None:
    overlay = mounted / "mirror.toml"
    overlay.write_text(BY_HAND)
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True, timeout=HANG_S)
    with pytest.raises(YtmError, match=f"{overlay}: cannot be written .Read-only file system"):
        set_key(overlay, "sound.volume_db", "-9")
    assert overlay.read_text() == BY_HAND


def test_every_key_can_be_set_to_what_it_is_by_default(overlay: Path) -> None:
    for key, field in keys().items():
        default = field.default
        typed = "" if default is None else str(default)
        typed = typed.lower() if isinstance(default, bool) else typed
        set_key(overlay, key, typed)
    assert sum(map(len, (part for part in read_layer(overlay).values() if part))) == len(keys()) - 1
