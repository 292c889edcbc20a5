"""The data partition of a board after its power was cut, rebuilt from a log and judged.

It is repaired as the board does it at its start, and what is found on it is read by the project's
own readers.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance.acknowledged import History
from appliance.write_log import Entry, Region, safe_before, survivors
from ytm_bundle.bundle import open_bundle
from ytm_bundle.checksums import ENGINES_FOLDER
from ytm_bundle.engines import EngineKey, find_engines
from ytm_bundle.errors import BundleError, YtmError
from ytm_device.settings.files import read_layer
from ytm_device.settings.source import SettingsSource

WAYS = ("whole", "some", "torn")
PARTITION = "ytm-data"
_MOUNTED = (0, 1)
"""Ends of `e2fsck` after which a board mounts what was repaired."""
_IN_THE_BOOT = 0.1
_BESIDE_A_FLUSH = 0.5

Find = Callable[[Path], object]


class RepairError(Exception):
    """A file system is not what it should be, and a board would play without it."""


@dataclass(frozen=True)
class Logged:
    """A disk that was written to, and what was made of it."""

    disk: Path
    """As it was before, raw."""
    begin: int
    """Of the data partition, in bytes."""
    size: int
    log: Path
    entries: Sequence[Entry]
    histories: Mapping[str, History]
    key: EngineKey
    """Of the engines."""


@dataclass(frozen=True)
class Cut:
    """A moment, and what became of the writes that were not flushed by then."""

    at: int
    """Entries that the disk was given before."""
    way: str
    """whole: all writes are there. some: each may be. torn: and of the others, some sectors."""


def choose(logged: Logged, count: int, chance: random.Random) -> list[Cut]:
    """Cuts, the earliest first.

    Some while the board starts, most during a change, of every kind as many, and about half of
    these just before or after a flush.
    """
    histories = logged.histories
    kinds = sorted(histories)
    last_of_boot = histories["settings"].changes[0].begun
    cuts = []
    for number in range(count):
        if chance.random() < _IN_THE_BOOT:
            at = chance.randint(0, last_of_boot)
        else:
            change = chance.choice(histories[kinds[number % len(kinds)]].changes)
            at = _moment(logged.entries, change.begun, change.done, chance)
        cuts.append(Cut(at, chance.choice(WAYS)))
    return sorted(cuts, key=lambda cut: cut.at)


def _moment(entries: Sequence[Entry], begun: int, done: int, chance: random.Random) -> int:
    flushes = [at for at in range(begun, done) if entries[at].flushes]
    if flushes and chance.random() < _BESIDE_A_FLUSH:
        return chance.choice(flushes) + chance.randint(0, 1)
    return chance.randint(begun, done)


def where_data_are(image: Path) -> tuple[int, int]:
    """First byte and bytes of the data partition."""
    done = subprocess.run(["sfdisk", "--json", image], check=True, capture_output=True)
    table = json.loads(done.stdout)["partitiontable"]
    sector = table["sectorsize"]
    (found,) = (each for each in table["partitions"] if each["name"] == PARTITION)
    return found["start"] * sector, found["size"] * sector


def repair(medium: Path) -> None:
    """Do what systemd does before it mounts, and see that nothing is left to be done.

    That is `-y` for `fsck.repair=yes` on the kernel's command line.

    Raises:
        RepairError: there is no file system, or something is left.
    """
    for way, good in (("-y", _MOUNTED), ("-fn", (0,))):
        done = subprocess.run(["e2fsck", way, medium], capture_output=True, text=True)
        if done.returncode not in good:
            raise RepairError(f"e2fsck {way}: {done.returncode}\n{done.stdout}{done.stderr}")


class DataPartition:
    """The data partition of a logged disk, after one cut after the other."""

    def __init__(self, logged: Logged, folder: Path) -> None:
        """Begin before the first entry; `folder` is empty, for the files that are made."""
        self._entries, self._folder = logged.entries, folder
        self._flushed = folder / "flushed"
        self._region = Region(logged.log, logged.entries, logged.begin, logged.size)
        self._region.cut_out(logged.disk, self._flushed)

    @contextmanager
    def after(self, cut: Cut, chance: random.Random) -> Iterator[Path]:
        """Give what a board finds on it at its start after a cut: a folder, of a mount's contents.

        Each cut comes no earlier than the one before.

        Raises:
            RepairError: the file system is damaged for good.
        """
        pieces = survivors(
            self._entries, cut.at, None if cut.way == "whole" else chance, torn=cut.way == "torn"
        )
        self._region.forward(self._flushed, safe_before(self._entries, cut.at))
        medium, found = self._folder / "medium", self._folder / "found"
        subprocess.run(["cp", "--sparse=always", self._flushed, medium], check=True)
        self._region.write(medium, pieces)
        repair(medium)
        found.mkdir()
        try:
            for name in ("ytm", "door"):
                subprocess.run(
                    ["debugfs", "-R", f"rdump /{name} {found}", medium],
                    check=True,
                    capture_output=True,
                )
            yield found
        finally:
            shutil.rmtree(found)
            medium.unlink()


def readers(key: EngineKey) -> dict[str, Find]:
    """How each thing that lasts is found beneath a mount; None where it is not there.

    They raise `YtmError` for what is there and not sound.

    Args:
        key: of the engines.
    """
    return {
        "settings": _settings,
        "bundle": lambda found: _bundle(found / "ytm/bundle"),
        "last good bundle": lambda found: _bundle(_source(found).last_good_bundle),
        "engines": lambda found: _engines(found / "ytm" / ENGINES_FOLDER, key),
        "door": lambda found: _door(found / "door/host_key"),
        "careless": lambda found: _text(found / "ytm/careless"),
    }


def _source(found: Path) -> SettingsSource:
    return SettingsSource(base=found / "none", data=found / "ytm")


def _settings(found: Path) -> object:
    source = _source(found)
    source.load()
    return read_layer(source.overlay) if source.overlay.exists() else None


def _bundle(path: Path) -> str | None:
    if not path.exists():
        return None
    with open_bundle(path) as bundle:
        return bundle.id


def _engines(place: Path, key: EngineKey) -> str | None:
    problems: list[str] = []
    engines = find_engines([place], key, problems)
    if problems:
        raise BundleError("; ".join(problems))
    return engines.id if engines else None


def _door(path: Path) -> str | None:
    """The public key; None for what is no key, which the board makes anew."""
    done = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, text=True)
    return done.stdout.split()[1] if done.returncode == 0 else None


def _text(path: Path) -> str | None:
    return path.read_text(errors="replace") if path.exists() else None


def wrong(found: Path, cut: Cut, histories: Mapping[str, History], key: EngineKey) -> list[str]:
    """What is there after a cut and should not be, or should be and is not; a line each."""
    lines = []
    for name, find in readers(key).items():
        if name not in histories:
            continue
        allowed = histories[name].allowed(cut.at)
        try:
            state = find(found)
        except YtmError as error:
            lines.append(f"{cut}: {name}: {error}")
            continue
        if state not in allowed:
            lines.append(f"{cut}: {name}: {state!r}, not {' or '.join(map(repr, allowed))}")
    return lines


def judge(logged: Logged, cuts: Sequence[Cut], folder: Path, chance: random.Random) -> list[str]:
    """All that is wrong after any of the cuts; a line each.

    Args:
        logged: a disk.
        cuts: the earliest first.
        folder: empty.
        chance: what it decides about a cut is the same for the same cuts.
    """
    partition, lines = DataPartition(logged, folder), []
    for cut in cuts:
        try:
            with partition.after(cut, chance) as found:
                lines += wrong(found, cut, logged.histories, logged.key)
        except RepairError as error:
            lines.append(f"{cut}: {error}")
    return lines
